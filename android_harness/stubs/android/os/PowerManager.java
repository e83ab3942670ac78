package android.os;

import java.util.concurrent.Executor;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public final class PowerManager {
    public static final int PARTIAL_WAKE_LOCK = 1;

    public interface OnThermalStatusChangedListener {
        void onThermalStatusChanged(int status);
    }

    public static final class WakeLock {
        public void acquire(long timeout) { throw new UnsupportedOperationException(); }

        public void release() { throw new UnsupportedOperationException(); }
    }

    public WakeLock newWakeLock(int levelAndFlags, String tag) { throw new UnsupportedOperationException(); }

    public int getCurrentThermalStatus() { throw new UnsupportedOperationException(); }

    public float getThermalHeadroom(int forecastSeconds) { throw new UnsupportedOperationException(); }

    public boolean isPowerSaveMode() { throw new UnsupportedOperationException(); }

    public void addThermalStatusListener(Executor executor, OnThermalStatusChangedListener listener) { throw new UnsupportedOperationException(); }

    public void removeThermalStatusListener(OnThermalStatusChangedListener listener) { throw new UnsupportedOperationException(); }
}
