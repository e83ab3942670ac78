package android.content;

/** Signatures only, to compile against; tests/unit/android checks them against Android's own. */
public abstract class Context {
    public final <T> T getSystemService(Class<T> serviceClass) { throw new UnsupportedOperationException(); }
}
