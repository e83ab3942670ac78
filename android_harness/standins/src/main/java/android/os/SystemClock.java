package android.os;

import java.util.concurrent.atomic.AtomicLong;

/** A stand-in whose time goes on only when a test says so. */
public final class SystemClock {
    private static final AtomicLong MS = new AtomicLong(5000);

    public static long elapsedRealtime() { return MS.get(); }

    public static void advance(long ms) { MS.addAndGet(ms); }
}
