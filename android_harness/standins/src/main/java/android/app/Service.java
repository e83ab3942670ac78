package android.app;

import android.content.Context;
import android.content.Intent;
import android.os.IBinder;

/** A stand-in. Android ends an app whose service shows a bad notification, and that cannot be caught. */
public abstract class Service extends Context {
    public static final int START_NOT_STICKY = 2;
    public static final int START_STICKY = 1;

    public abstract IBinder onBind(Intent intent);

    public int onStartCommand(Intent intent, int flags, int startId) { return START_STICKY; }

    public final void startForeground(int id, Notification notification) {
        if (id == 0 || notification == null) throw new IllegalArgumentException("startForeground(" + id + ", " + notification + ")");
        if (phone().sdk >= 28) phone().needs("FOREGROUND_SERVICE");
        if (phone().sdk >= 31 && !phone().foreground) throw new IllegalStateException("ForegroundServiceStartNotAllowedException");
        if (phone().sdk >= 34) {
            if (!phone().manifest.foregroundServiceTypes.contains("specialUse")) throw new IllegalArgumentException("MissingForegroundServiceTypeException");
            phone().needs("FOREGROUND_SERVICE_SPECIAL_USE");
        }
        if (!phone().notifications.has(notification.getChannelId())) phone().crashes.add("Bad notification for startForeground: invalid channel");
        if (notification.icon() == 0) phone().crashes.add("Bad notification for startForeground: invalid service notification, no icon");
        phone().foregroundServices.put(this, notification);
    }
}
