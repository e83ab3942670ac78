package android.graphics;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class Paint {
    public Paint() { throw new UnsupportedOperationException(); }

    public void setTextSize(float textSize) { throw new UnsupportedOperationException(); }
}
