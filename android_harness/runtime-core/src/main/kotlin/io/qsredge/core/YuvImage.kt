package io.qsredge.core

import java.nio.ByteBuffer

/** What the numbers of a YUV image mean; both are ITU-R BT.601. */
public enum class YuvRange {
    /** Y, U and V use 0 to 255, as JPEG does, and as Android says of a camera's YUV_420_888 (data space JFIF). */
    FULL,

    /** Y uses 16 to 235, U and V 16 to 240, as video does. */
    LIMITED,
}

/**
 * One plane of an image, as `Image.Plane` gives it.
 *
 * @property buffer with the plane from index 0 on; its position and limit are neither used nor changed.
 * @property rowStride bytes from one row to the next.
 * @property pixelStride bytes from one pixel to the next.
 */
public class YuvPlane(
    public val buffer: ByteBuffer,
    public val rowStride: Int,
    public val pixelStride: Int,
)

/**
 * A camera's frame of the format YUV_420_888: one U and one V for each square of four pixels, which they are used for
 * unchanged. Read window by window: there never is an RGB copy of the whole frame.
 *
 * The conversion is BT.601's in 16-bit fixed point, rounded to the nearest level:
 *
 *     FULL     R = Y + 1.402 V', G = Y - 0.344136 U' - 0.714136 V', B = Y + 1.772 U'        U' = U - 128, V' = V - 128
 *     LIMITED  the same with Y = 255/219 (Y - 16), U' = 255/224 (U - 128), V' = 255/224 (V - 128)
 *
 * @param size of the part that is upscaled.
 * @param top first row of it within the planes; `Image.getCropRect`.
 * @param left first column of it.
 */
public class YuvImage(
    override val size: Size,
    private val y: YuvPlane,
    private val u: YuvPlane,
    private val v: YuvPlane,
    private val range: YuvRange = YuvRange.FULL,
    private val top: Int = 0,
    private val left: Int = 0,
) : PixelSource {
    private class Reader(
        plane: YuvPlane,
    ) {
        private val view = plane.buffer.duplicate().apply { clear() }
        private val rowStride = plane.rowStride
        private val pixelStride = plane.pixelStride
        private var row = ByteArray(0)

        /** Bytes of so many pixels of a row, a pixel stride apart. The last one has no stride after it. */
        fun read(
            line: Int,
            column: Int,
            count: Int,
        ): ByteArray {
            val length = (count - 1) * pixelStride + 1
            if (row.size < length) row = ByteArray(length)
            view.position(line * rowStride + column * pixelStride)
            view.get(row, 0, length)
            return row
        }
    }

    private val luma = Reader(y)
    private val blue = Reader(u)
    private val red = Reader(v)

    init {
        checkSize(size)
        if (top < 0 || left < 0) throw PixelException("the part begins at row $top, column $left, outside the image")
        checkPlane("Y", y, top + size.heightPx, left + size.widthPx)
        for ((name, plane) in listOf("U" to u, "V" to v)) {
            checkPlane(name, plane, (top + size.heightPx + 1) / 2, (left + size.widthPx + 1) / 2)
        }
    }

    private fun checkPlane(
        name: String,
        plane: YuvPlane,
        rows: Int,
        columns: Int,
    ) {
        val row = (columns - 1L) * plane.pixelStride + 1
        val needed = (rows - 1L) * plane.rowStride + row
        if (plane.pixelStride < 1 || plane.rowStride < row || plane.buffer.capacity() < needed) {
            throw PixelException(
                "plane $name has ${plane.buffer.capacity()} bytes in rows of ${plane.rowStride} and steps of " +
                    "${plane.pixelStride}, too few for $rows rows of $columns pixels",
            )
        }
    }

    override fun read(
        row: Int,
        column: Int,
        count: Int,
        into: ByteBuffer,
    ) {
        val line = top + row
        val first = left + column
        val lumas = luma.read(line, first, count)
        val chromas = (first + count - 1) / 2 - first / 2 + 1
        val blues = blue.read(line / 2, first / 2, chromas)
        val reds = red.read(line / 2, first / 2, chromas)
        val weights = if (range == YuvRange.FULL) FULL else LIMITED
        for (i in 0 until count) {
            val at = (first + i) / 2 - first / 2
            val scaled =
                weights.luma * ((lumas[i * y.pixelStride].toInt() and 0xFF) - weights.black) + HALF
            val cb = (blues[at * u.pixelStride].toInt() and 0xFF) - GREY
            val cr = (reds[at * v.pixelStride].toInt() and 0xFF) - GREY
            into.put(level(scaled + weights.redOfV * cr))
            into.put(level(scaled - weights.greenOfU * cb - weights.greenOfV * cr))
            into.put(level(scaled + weights.blueOfU * cb))
        }
    }

    private fun level(scaled: Int): Byte = (scaled shr SHIFT).coerceIn(0, 0xFF).toByte()

    /** Factors times 2^16. */
    private class Weights(
        val black: Int,
        val luma: Int,
        val redOfV: Int,
        val greenOfU: Int,
        val greenOfV: Int,
        val blueOfU: Int,
    )

    private companion object {
        const val SHIFT = 16
        const val HALF = 1 shl (SHIFT - 1)
        const val GREY = 128
        val FULL = Weights(0, 1 shl SHIFT, 91_881, 22_553, 46_802, 116_130)
        val LIMITED = Weights(16, 76_309, 104_597, 25_674, 53_279, 132_201)
    }
}
