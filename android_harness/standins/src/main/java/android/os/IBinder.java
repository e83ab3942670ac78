package android.os;

/** A stand-in. */
public interface IBinder {
}
