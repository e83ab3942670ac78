package android.view;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public abstract class Window {
    public void addFlags(int flags) { throw new UnsupportedOperationException(); }
}
