package io.qsredge.standin;

import android.graphics.ImageFormat;
import android.graphics.Rect;
import android.media.Image;
import java.nio.ByteBuffer;

/**
 * A frame in YUV_420_888 as cameras give it: rows longer than the picture, chroma in pairs (a pixel stride of 2, U and V in one
 * memory), and the last row of a plane as short as its pixels. Closed, its memory is the next frame's.
 */
public final class CameraImage extends Image {
    private final Plane[] planes;
    private final int format;
    private final Rect crop;
    private boolean closed;

    /** @param uv value of (plane, row, column): plane 0 is Y, 1 is U, 2 is V. */
    public CameraImage(int width, int height, int rowPadding, Rect crop, Samples samples) {
        this(ImageFormat.YUV_420_888, width, height, rowPadding, crop, samples);
    }

    public CameraImage(int format, int width, int height, int rowPadding, Rect crop, Samples samples) {
        this.format = format;
        this.crop = crop;
        int rowStride = width + rowPadding;
        ByteBuffer y = ByteBuffer.allocateDirect(rowStride * (height - 1) + width);
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) y.put(row * rowStride + column, (byte) samples.at(0, row, column));
        }
        int rows = (height + 1) / 2;
        int columns = (width + 1) / 2;
        int chromaStride = 2 * columns + rowPadding;
        ByteBuffer pairs = ByteBuffer.allocateDirect(chromaStride * (rows - 1) + 2 * columns);
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                pairs.put(row * chromaStride + 2 * column, (byte) samples.at(2, row, column));
                pairs.put(row * chromaStride + 2 * column + 1, (byte) samples.at(1, row, column));
            }
        }
        // V first, as phones have it: U begins one byte later, V lacks the last byte.
        ByteBuffer v = pairs.duplicate();
        v.limit(pairs.capacity() - 1);
        ByteBuffer u = pairs.duplicate();
        u.position(1);
        planes = new Plane[] {
            new CameraPlane(y, rowStride, 1), new CameraPlane(u.slice(), chromaStride, 2), new CameraPlane(v.slice(), chromaStride, 2),
        };
    }

    @Override public Rect getCropRect() {
        check();
        return new Rect(crop.left, crop.top, crop.left + crop.width(), crop.top + crop.height());
    }

    @Override public int getFormat() {
        check();
        return format;
    }

    @Override public Plane[] getPlanes() {
        check();
        return planes.clone();
    }

    public void close() { closed = true; }

    private void check() {
        if (closed) throw new IllegalStateException("Image is already closed");
    }

    /** A value from 0 to 255. */
    public interface Samples {
        int at(int plane, int row, int column);
    }

    private final class CameraPlane extends Plane {
        private final ByteBuffer buffer;
        private final int rowStride;
        private final int pixelStride;

        CameraPlane(ByteBuffer buffer, int rowStride, int pixelStride) {
            this.buffer = buffer;
            this.rowStride = rowStride;
            this.pixelStride = pixelStride;
        }

        @Override public ByteBuffer getBuffer() {
            check();
            return buffer;
        }

        @Override public int getPixelStride() {
            check();
            return pixelStride;
        }

        @Override public int getRowStride() {
            check();
            return rowStride;
        }
    }
}
