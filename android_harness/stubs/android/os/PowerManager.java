package android.os;

import java.util.concurrent.Executor;

/** Signatures only, to compile against; tests/unit/android checks them against Android's own. */
public final class PowerManager {
    public interface OnThermalStatusChangedListener {
        void onThermalStatusChanged(int status);
    }

    public int getCurrentThermalStatus() { throw new UnsupportedOperationException(); }

    public float getThermalHeadroom(int forecastSeconds) { throw new UnsupportedOperationException(); }

    public boolean isPowerSaveMode() { throw new UnsupportedOperationException(); }

    public void addThermalStatusListener(Executor executor, OnThermalStatusChangedListener listener) { throw new UnsupportedOperationException(); }

    public void removeThermalStatusListener(OnThermalStatusChangedListener listener) { throw new UnsupportedOperationException(); }
}
