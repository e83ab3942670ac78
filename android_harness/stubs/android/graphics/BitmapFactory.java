package android.graphics;

import androidx.annotation.Nullable;
import java.io.InputStream;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class BitmapFactory {
    @Nullable public static Bitmap decodeStream(InputStream is) { throw new UnsupportedOperationException(); }
}
