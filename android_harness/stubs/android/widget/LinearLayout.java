package android.widget;

import android.content.Context;
import android.view.ViewGroup;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class LinearLayout extends ViewGroup {
    public static final int VERTICAL = 1;

    public LinearLayout(Context context) { super(context); }

    public void setOrientation(int orientation) { throw new UnsupportedOperationException(); }
}
