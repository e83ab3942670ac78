package android.content;

/** A stand-in. */
public abstract class BroadcastReceiver {
    public abstract void onReceive(Context context, Intent intent);
}
