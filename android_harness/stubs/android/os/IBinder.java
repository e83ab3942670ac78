package android.os;

/** Signatures only, to compile against; tests/unit/android checks them against Android's own. */
public interface IBinder {
}
