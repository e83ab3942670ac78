package android.widget;

import android.content.Context;
import android.graphics.Bitmap;
import android.view.View;

/** A stand-in. */
public class ImageView extends View {
    private volatile Bitmap bitmap;

    public ImageView(Context context) { super(context); }

    public void setImageBitmap(Bitmap bm) {
        checkThread();
        bitmap = bm;
    }

    public Bitmap bitmap() { return bitmap; }
}
