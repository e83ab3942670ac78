package android.content;

import android.net.Uri;
import androidx.annotation.Nullable;
import java.io.InputStream;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public abstract class ContentResolver {
    @Nullable public final InputStream openInputStream(Uri uri) { throw new UnsupportedOperationException(); }
}
