package android.widget;

import android.content.Context;
import android.view.View;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class TextView extends View {
    public TextView(Context context) { super(context); }

    public final void setText(CharSequence text) { throw new UnsupportedOperationException(); }
}
