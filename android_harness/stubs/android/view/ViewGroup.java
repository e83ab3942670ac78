package android.view;

import android.content.Context;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public abstract class ViewGroup extends View {
    public ViewGroup(Context context) { super(context); }

    public void addView(View child) { throw new UnsupportedOperationException(); }
}
