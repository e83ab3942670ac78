package android.widget;

import android.content.Context;
import android.graphics.Bitmap;
import android.view.View;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class ImageView extends View {
    public ImageView(Context context) { super(context); }

    public void setImageBitmap(Bitmap bm) { throw new UnsupportedOperationException(); }
}
