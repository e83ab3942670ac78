package android.media;

import android.graphics.Rect;
import java.nio.ByteBuffer;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public abstract class Image {
    public static class Plane {
        public ByteBuffer getBuffer() { throw new UnsupportedOperationException(); }

        public int getPixelStride() { throw new UnsupportedOperationException(); }

        public int getRowStride() { throw new UnsupportedOperationException(); }
    }

    public Rect getCropRect() { throw new UnsupportedOperationException(); }

    public int getFormat() { throw new UnsupportedOperationException(); }

    public Plane[] getPlanes() { throw new UnsupportedOperationException(); }
}
