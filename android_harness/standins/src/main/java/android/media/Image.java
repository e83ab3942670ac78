package android.media;

import android.graphics.Rect;
import java.nio.ByteBuffer;

/** A stand-in; io.qsredge.standin.CameraImage is one. */
public abstract class Image {
    public abstract static class Plane {
        public abstract ByteBuffer getBuffer();

        public abstract int getPixelStride();

        public abstract int getRowStride();
    }

    public abstract Rect getCropRect();

    public abstract int getFormat();

    public abstract Plane[] getPlanes();
}
