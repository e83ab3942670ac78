package android.app;

import android.content.Context;
import android.content.Intent;
import android.os.IBinder;
import androidx.annotation.Nullable;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public abstract class Service extends Context {
    public static final int START_NOT_STICKY = 2;

    @Nullable public abstract IBinder onBind(Intent intent);

    public int onStartCommand(Intent intent, int flags, int startId) { throw new UnsupportedOperationException(); }

    public final void startForeground(int id, Notification notification) { throw new UnsupportedOperationException(); }
}
