package android.graphics;

import java.util.ArrayList;
import java.util.List;

/** A stand-in that writes down what is drawn, moved as it is, and refuses what a canvas of Android refuses. */
public class Canvas {
    private static final long LARGEST_BYTES = 100L << 20;
    public final List<String> drawn = new ArrayList<>();
    private float x;
    private float y;

    public void drawLines(float[] pts, Paint paint) { drawn.add("lines " + pts.length / 4 + " at " + x + "," + y); }

    public void drawText(String text, float x, float y, Paint paint) { drawn.add("text " + text + " at " + (this.x + x) + "," + (this.y + y)); }

    public void drawBitmap(Bitmap bitmap, Rect src, Rect dst, Paint paint) {
        if (bitmap.isRecycled()) throw new RuntimeException("Canvas: trying to use a recycled bitmap");
        if (4L * bitmap.getWidth() * bitmap.getHeight() > LARGEST_BYTES) throw new RuntimeException("Canvas: trying to draw too large bitmap");
        drawn.add("bitmap " + bitmap.getWidth() + "x" + bitmap.getHeight() + " to " + dst.width() + "x" + dst.height() + " at " + (x + dst.left) + "," + (y + dst.top));
    }

    public void translate(float dx, float dy) {
        x += dx;
        y += dy;
    }
}
