package android.app;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A stand-in. */
public class NotificationManager {
    public static final int IMPORTANCE_LOW = 2;

    private final Set<String> channels = ConcurrentHashMap.newKeySet();

    public void createNotificationChannel(NotificationChannel channel) { channels.add(channel.getId()); }

    public boolean has(String channel) { return channels.contains(channel); }
}
