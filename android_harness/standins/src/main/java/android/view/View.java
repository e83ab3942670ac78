package android.view;

import android.content.Context;
import android.graphics.Canvas;
import io.qsredge.standin.Phone;

/** A stand-in. Only the main thread may touch what is shown. */
public class View {
    private OnClickListener listener;
    private boolean fits;
    private int width;
    private int height;
    private long nextMs = -1;

    /** What the system's bars cover at the top, in pixels, where an app reaches below them. */
    public static final int STATUS_BAR_PX = 60;

    public interface OnClickListener {
        void onClick(View v);
    }

    public View(Context context) {
        if (context == null) throw new NullPointerException("no context");
    }

    protected void onDraw(Canvas canvas) { }

    public final int getHeight() { return height; }

    public int getPaddingTop() { return fits && Phone.current().sdk >= 35 ? STATUS_BAR_PX : 0; }

    public final int getWidth() { return width; }

    public void postInvalidateDelayed(long delayMilliseconds) { nextMs = delayMilliseconds; }

    public void setFitsSystemWindows(boolean fitSystemWindows) { fits = fitSystemWindows; }

    public void setOnClickListener(OnClickListener l) { listener = l; }

    public boolean performClick() {
        if (listener == null) return false;
        listener.onClick(this);
        return true;
    }

    public final void layout(int left, int top, int right, int bottom) {
        width = right - left;
        height = bottom - top;
    }

    public void draw(Canvas canvas) {
        checkThread();
        onDraw(canvas);
    }

    /** After how long it asked to be drawn again; -1 if it did not. */
    public long nextMs() { return nextMs; }

    protected static void checkThread() {
        if (!Phone.current().onMainThread()) {
            throw new RuntimeException("Only the original thread that created a view hierarchy can touch its views.");
        }
    }
}
