package android.app;

import android.content.ActivityNotFoundException;
import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.view.Window;

/** A stand-in; the phone calls the methods named perform..., as Android does its own. */
public class Activity extends Context {
    public static final int RESULT_OK = -1;
    public static final int RESULT_CANCELED = 0;

    private Window window;
    private Intent intent;
    private View content;
    private boolean called;
    private boolean destroyed;

    public void attachActivity(Intent intent) {
        this.intent = intent;
        window = new Window() {};
    }

    protected void onCreate(Bundle savedInstanceState) { called = true; }

    protected void onResume() { called = true; }

    protected void onPause() { called = true; }

    protected void onDestroy() { called = true; }

    protected void onNewIntent(Intent intent) { }

    protected void onActivityResult(int requestCode, int resultCode, Intent data) { }

    public void onTrimMemory(int level) { called = true; }

    public Intent getIntent() { return intent; }

    public Window getWindow() { return window; }

    public void setContentView(View view) {
        checkThread();
        content = view;
    }

    public void startActivityForResult(Intent intent, int requestCode) {
        if (!phone().picksDocuments) {
            throw new ActivityNotFoundException("No Activity found to handle Intent { act=" + intent.getAction() + " }");
        }
        phone().asked.add(intent);
    }

    public final void runOnUiThread(Runnable action) {
        if (phone().onMainThread()) action.run();
        else phone().post(action);
    }

    public View content() { return content; }

    public void performCreate(Bundle saved) { checked("onCreate", () -> onCreate(saved)); }

    public void performResume() { checked("onResume", this::onResume); }

    public void performPause() { checked("onPause", this::onPause); }

    public void performDestroy() {
        checked("onDestroy", this::onDestroy);
        destroyed = true;
    }

    public void performNewIntent(Intent intent) { phone().onMain(() -> { onNewIntent(intent); return null; }); }

    public void performTrimMemory(int level) { phone().onMain(() -> { checked("onTrimMemory", () -> onTrimMemory(level)); return null; }); }

    public void performResult(int requestCode, int resultCode, Intent data) {
        phone().onMain(() -> { onActivityResult(requestCode, resultCode, data); return null; });
    }

    private void checked(String name, Runnable call) {
        if (destroyed) throw new IllegalStateException(name + " after onDestroy");
        called = false;
        call.run();
        if (!called) throw new IllegalStateException("SuperNotCalledException: " + getClass() + " did not call through to super." + name);
    }

    private void checkThread() {
        if (!phone().onMainThread()) throw new IllegalStateException("not on the main thread");
    }
}
