package android.content;

import android.app.NotificationManager;
import android.content.pm.ApplicationInfo;
import android.content.res.AssetManager;
import android.os.BatteryManager;
import android.os.PowerManager;
import io.qsredge.standin.Phone;
import java.io.File;

/** A stand-in: its phone's. Unusable before it is attached, as an activity's is in its constructor. */
public abstract class Context {
    private final ApplicationInfo info = new ApplicationInfo();
    private Phone phone;

    public void attach(Phone phone) { this.phone = phone; }

    protected Phone phone() {
        if (phone == null) throw new NullPointerException("a context that is not attached yet");
        return phone;
    }

    public final <T> T getSystemService(Class<T> serviceClass) {
        Phone phone = phone();
        if (phone.missing.contains(serviceClass)) return null;
        for (Object service : new Object[] {phone.power, phone.battery, phone.notifications}) {
            if (service.getClass() == serviceClass) return serviceClass.cast(service);
        }
        return null;
    }

    public AssetManager getAssets() { return phone().assets; }

    public Context getApplicationContext() { return phone().application(); }

    public ApplicationInfo getApplicationInfo() { return this == phone().application() ? info : phone().application().getApplicationInfo(); }

    public ContentResolver getContentResolver() { return phone().resolver; }

    public File getNoBackupFilesDir() { return phone().filesDir; }

    public File getExternalFilesDir(String type) { return phone().externalFilesDir; }

    /** Without a receiver: the last one of a broadcast that stays. */
    public Intent registerReceiver(BroadcastReceiver receiver, IntentFilter filter) {
        if (receiver != null) throw new UnsupportedOperationException("only broadcasts that stay stand in");
        return filter.action().equals(Intent.ACTION_BATTERY_CHANGED) ? phone().batteryBroadcast : null;
    }

    public ComponentName startService(Intent service) { return phone().startService(service); }

    public boolean stopService(Intent service) { return phone().stopService(service); }
}
