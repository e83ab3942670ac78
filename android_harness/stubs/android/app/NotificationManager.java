package android.app;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class NotificationManager {
    public static final int IMPORTANCE_LOW = 2;

    public void createNotificationChannel(NotificationChannel channel) { throw new UnsupportedOperationException(); }
}
