package android.os;

import io.qsredge.standin.Phone;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;

/**
 * A stand-in. A listener is told the present status as soon as it is added, and of changes on whichever thread Android has at
 * hand, never the main one; adding one twice, or taking away one that is not there, is an error.
 */
public final class PowerManager {
    public static final int PARTIAL_WAKE_LOCK = 1;

    public volatile boolean powerSave;
    public volatile float headroom = Float.NaN;
    public volatile int headroomAsked;
    public volatile WakeLock lastLock;
    private final Phone phone;
    private final Map<OnThermalStatusChangedListener, Executor> listeners = new ConcurrentHashMap<>();
    private volatile int status;

    public PowerManager(Phone phone) { this.phone = phone; }

    public interface OnThermalStatusChangedListener {
        void onThermalStatusChanged(int status);
    }

    public static final class WakeLock {
        private final Phone phone;
        private volatile boolean held;
        private volatile long timeoutMs;

        private WakeLock(Phone phone) { this.phone = phone; }

        public void acquire(long timeout) {
            phone.needs("WAKE_LOCK");
            held = true;
            timeoutMs = timeout;
        }

        public void release() {
            if (!held) throw new RuntimeException("WakeLock under-locked");
            held = false;
        }

        public boolean isHeld() { return held; }

        public long timeoutMs() { return timeoutMs; }
    }

    public WakeLock newWakeLock(int levelAndFlags, String tag) {
        if (tag == null) throw new NullPointerException("The tag must not be null");
        return lastLock = new WakeLock(phone);
    }

    public int getCurrentThermalStatus() {
        phone.since(29, "getCurrentThermalStatus");
        return status;
    }

    public float getThermalHeadroom(int forecastSeconds) {
        phone.since(30, "getThermalHeadroom");
        headroomAsked++;
        return headroom;
    }

    public boolean isPowerSaveMode() { return powerSave; }

    public void addThermalStatusListener(Executor executor, OnThermalStatusChangedListener listener) {
        phone.since(29, "addThermalStatusListener");
        if (listeners.putIfAbsent(listener, executor) != null) throw new IllegalArgumentException("Listener already added");
        tell(executor, listener, status);
    }

    public void removeThermalStatusListener(OnThermalStatusChangedListener listener) {
        phone.since(29, "removeThermalStatusListener");
        if (listeners.remove(listener) == null) throw new IllegalArgumentException("Listener was not added");
    }

    public int listening() { return listeners.size(); }

    /** The phone grows hotter or cooler. Returns when all were told. */
    public void heat(int status) {
        this.status = status;
        listeners.forEach((listener, executor) -> tell(executor, listener, status));
    }

    private static void tell(Executor executor, OnThermalStatusChangedListener listener, int status) {
        Thread binder = new Thread(() -> executor.execute(() -> listener.onThermalStatusChanged(status)), "Binder");
        binder.start();
        try {
            binder.join();
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }
}
