package android.graphics;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public final class Rect {
    public int left;

    public int top;

    public Rect(int left, int top, int right, int bottom) { throw new UnsupportedOperationException(); }

    public final int width() { throw new UnsupportedOperationException(); }

    public final int height() { throw new UnsupportedOperationException(); }
}
