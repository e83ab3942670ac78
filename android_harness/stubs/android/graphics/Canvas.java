package android.graphics;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class Canvas {
    public void drawLines(float[] pts, Paint paint) { throw new UnsupportedOperationException(); }

    public void drawText(String text, float x, float y, Paint paint) { throw new UnsupportedOperationException(); }

    public void drawBitmap(Bitmap bitmap, Rect src, Rect dst, Paint paint) { throw new UnsupportedOperationException(); }

    public void translate(float dx, float dy) { throw new UnsupportedOperationException(); }
}
