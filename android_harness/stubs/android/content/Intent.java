package android.content;

import android.net.Uri;
import androidx.annotation.Nullable;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class Intent {
    public static final String ACTION_BATTERY_CHANGED = "android.intent.action.BATTERY_CHANGED";

    public static final String ACTION_OPEN_DOCUMENT = "android.intent.action.OPEN_DOCUMENT";

    public static final String CATEGORY_OPENABLE = "android.intent.category.OPENABLE";

    public Intent(String action) { throw new UnsupportedOperationException(); }

    public Intent(Context packageContext, Class<?> cls) { throw new UnsupportedOperationException(); }

    public Intent addCategory(String category) { throw new UnsupportedOperationException(); }

    public Intent setType(String type) { throw new UnsupportedOperationException(); }

    @Nullable public Uri getData() { throw new UnsupportedOperationException(); }

    @Nullable public String getStringExtra(String name) { throw new UnsupportedOperationException(); }

    public int getIntExtra(String name, int defaultValue) { throw new UnsupportedOperationException(); }
}
