package android.os;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class BatteryManager {
    public static final int BATTERY_PROPERTY_CAPACITY = 4;

    public static final int BATTERY_PROPERTY_CURRENT_NOW = 2;

    public int getIntProperty(int id) { throw new UnsupportedOperationException(); }

    public boolean isCharging() { throw new UnsupportedOperationException(); }
}
