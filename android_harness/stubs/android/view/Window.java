package android.view;

/** Signatures only, to compile against; tests/unit/android checks them against Android's own. */
public abstract class Window {
    public void addFlags(int flags) { throw new UnsupportedOperationException(); }
}
