package android.content;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public abstract class BroadcastReceiver {
    public abstract void onReceive(Context context, Intent intent);
}
