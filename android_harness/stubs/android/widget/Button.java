package android.widget;

import android.content.Context;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class Button extends TextView {
    public Button(Context context) { super(context); }
}
