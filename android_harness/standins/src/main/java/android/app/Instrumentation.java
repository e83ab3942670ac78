package android.app;

import android.content.Context;
import android.os.Bundle;
import io.qsredge.standin.Phone;
import java.util.concurrent.CountDownLatch;

/** A stand-in: start() begins a thread of its own, finish() ends the process on a phone, here what performRun waits for. */
public class Instrumentation {
    private final CountDownLatch finished = new CountDownLatch(1);
    private Context target;
    private int code;
    private Bundle results;

    public void onCreate(Bundle arguments) { }

    public void onStart() { }

    public void start() { new Thread(this::onStart, "Instr: " + getClass().getName()).start(); }

    public void finish(int resultCode, Bundle results) {
        code = resultCode;
        this.results = results;
        finished.countDown();
    }

    public Context getTargetContext() { return target; }

    /** The instrumentation's own app; here the target's as well. */
    public Context getContext() { return target; }

    public void attach(Phone phone) { target = phone.application(); }

    public int performRun(Phone phone, Bundle arguments) throws InterruptedException {
        attach(phone);
        phone.onMain(() -> { onCreate(arguments); return null; });
        finished.await();
        return code;
    }

    public Bundle results() { return results; }
}
