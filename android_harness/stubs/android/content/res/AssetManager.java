package android.content.res;

import java.io.IOException;
import java.io.InputStream;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public final class AssetManager {
    public InputStream open(String fileName) throws IOException { throw new UnsupportedOperationException(); }
}
