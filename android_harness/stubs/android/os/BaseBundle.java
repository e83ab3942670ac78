package android.os;

import androidx.annotation.Nullable;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class BaseBundle {
    @Nullable public String getString(String key) { throw new UnsupportedOperationException(); }

    public void putString(String key, String value) { throw new UnsupportedOperationException(); }
}
