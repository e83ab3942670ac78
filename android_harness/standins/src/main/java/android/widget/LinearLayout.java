package android.widget;

import android.content.Context;
import android.view.ViewGroup;

/** A stand-in. */
public class LinearLayout extends ViewGroup {
    public static final int VERTICAL = 1;

    public int orientation;

    public LinearLayout(Context context) { super(context); }

    public void setOrientation(int orientation) { this.orientation = orientation; }
}
