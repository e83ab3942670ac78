package android.view;

import android.content.Context;
import android.graphics.Canvas;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class View {
    public interface OnClickListener {
        void onClick(View v);
    }

    public View(Context context) { throw new UnsupportedOperationException(); }

    protected void onDraw(Canvas canvas) { throw new UnsupportedOperationException(); }

    public final int getHeight() { throw new UnsupportedOperationException(); }

    public int getPaddingTop() { throw new UnsupportedOperationException(); }

    public final int getWidth() { throw new UnsupportedOperationException(); }

    public void postInvalidateDelayed(long delayMilliseconds) { throw new UnsupportedOperationException(); }

    public void setFitsSystemWindows(boolean fitSystemWindows) { throw new UnsupportedOperationException(); }

    public void setOnClickListener(OnClickListener l) { throw new UnsupportedOperationException(); }
}
