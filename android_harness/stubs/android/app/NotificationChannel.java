package android.app;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public final class NotificationChannel {
    public NotificationChannel(String id, CharSequence name, int importance) { throw new UnsupportedOperationException(); }
}
