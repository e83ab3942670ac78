package android.os;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** A stand-in. What a phone does not measure is Integer.MIN_VALUE. */
public class BatteryManager {
    public static final int BATTERY_PROPERTY_CAPACITY = 4;
    public static final int BATTERY_PROPERTY_CURRENT_NOW = 2;

    public final Map<Integer, Integer> properties = new ConcurrentHashMap<>();
    public volatile boolean charging;

    public int getIntProperty(int id) { return properties.getOrDefault(id, Integer.MIN_VALUE); }

    public boolean isCharging() { return charging; }
}
