package io.qsredge.core

import java.nio.ByteBuffer

/** An image to upscale, read in parts of rows so that no second copy of it is needed. For one thread at a time. */
public interface PixelSource {
    /** Height and width in pixels. */
    public val size: Size

    /**
     * Append part of a row to [into], three bytes a pixel: R, G, B.
     *
     * @param row of the first pixel.
     * @param column of the first pixel.
     * @param count of pixels, all within the image.
     */
    public fun read(
        row: Int,
        column: Int,
        count: Int,
        into: ByteBuffer,
    )
}

/** Takes an upscaled image, part of a row by part of a row; every pixel once. For one thread at a time. */
public fun interface PixelSink {
    /**
     * Take part of a row.
     *
     * @param row of the first pixel.
     * @param column of the first pixel.
     * @param rgb the pixels, three bytes each, from its position to its limit.
     */
    public fun write(
        row: Int,
        column: Int,
        rgb: ByteBuffer,
    )
}

/**
 * An image as bytes: rows first, then columns, then R, G, B.
 *
 * @property size in pixels.
 * @property buffer with the pixels from index 0 on; its position and limit are neither used nor changed.
 */
public class RgbImage(
    override val size: Size,
    public val buffer: ByteBuffer,
) : PixelSource,
    PixelSink {
    private val view = buffer.duplicate()

    init {
        checkSize(size)
        val bytes = byteCount(size)
        if (buffer.capacity() < bytes) {
            throw PixelException("the buffer has ${buffer.capacity()} bytes, an image of $size takes $bytes")
        }
        view.clear()
    }

    /** A new black image outside the garbage-collected heap. */
    public constructor(size: Size) : this(size, ByteBuffer.allocateDirect(byteCount(size)))

    /** Pixels in an array. */
    public constructor(size: Size, pixels: ByteArray) : this(size, ByteBuffer.wrap(pixels))

    /** A copy of the pixels. */
    public fun toByteArray(): ByteArray {
        val copy = buffer.duplicate()
        copy.clear()
        return ByteArray(byteCount(size)).also { copy.get(it) }
    }

    override fun read(
        row: Int,
        column: Int,
        count: Int,
        into: ByteBuffer,
    ) {
        val start = (row * size.widthPx + column) * CHANNELS
        view.limit(start + count * CHANNELS)
        view.position(start)
        into.put(view)
    }

    override fun write(
        row: Int,
        column: Int,
        rgb: ByteBuffer,
    ) {
        view.clear()
        view.position((row * size.widthPx + column) * CHANNELS)
        view.put(rgb)
    }
}

/**
 * An image of ints of 0xAARRGGBB, not premultiplied, as `Bitmap.getPixels` gives and `Bitmap.setPixels` takes them. As source
 * and sink of [QsrUpscaler.upscale] they are colours alone: what is read is the colour, whatever the alpha, and what is
 * written is opaque. [QsrUpscaler.upscalePicture] heeds the alpha. For one thread at a time.
 */
public abstract class ArgbRows(
    final override val size: Size,
) : PixelSource,
    PixelSink {
    private var line = IntArray(0)

    init {
        checkSize(size)
    }

    /** Put part of a row at the beginning of [into]. */
    protected abstract fun get(
        row: Int,
        column: Int,
        count: Int,
        into: IntArray,
    )

    /** Set part of a row to the beginning of [from]. */
    protected abstract fun set(
        row: Int,
        column: Int,
        count: Int,
        from: IntArray,
    )

    override fun read(
        row: Int,
        column: Int,
        count: Int,
        into: ByteBuffer,
    ) {
        val pixels = line(count)
        get(row, column, count, pixels)
        for (i in 0 until count) {
            val pixel = pixels[i]
            into.put((pixel shr 16).toByte()).put((pixel shr 8).toByte()).put(pixel.toByte())
        }
    }

    override fun write(
        row: Int,
        column: Int,
        rgb: ByteBuffer,
    ) {
        val count = rgb.remaining() / CHANNELS
        val pixels = line(count)
        for (i in 0 until count) {
            val red = rgb.get().toInt() and 0xFF
            val green = rgb.get().toInt() and 0xFF
            val blue = rgb.get().toInt() and 0xFF
            pixels[i] = OPAQUE or (red shl 16) or (green shl 8) or blue
        }
        set(row, column, count, pixels)
    }

    /** Put part of a row, with its alpha, at the beginning of [into]. */
    internal fun pixels(
        row: Int,
        column: Int,
        count: Int,
        into: IntArray,
    ): Unit = get(row, column, count, into)

    /** Set part of a row, with its alpha, to the beginning of [from]. */
    internal fun setPixels(
        row: Int,
        column: Int,
        count: Int,
        from: IntArray,
    ): Unit = set(row, column, count, from)

    private fun line(count: Int): IntArray {
        if (line.size < count) line = IntArray(count)
        return line
    }

    private companion object {
        const val OPAQUE = 0xFF shl 24
    }
}

/**
 * [ArgbRows] in an array.
 *
 * @property pixels row by row, without gaps.
 */
public class ArgbImage(
    size: Size,
    public val pixels: IntArray,
) : ArgbRows(size) {
    init {
        if (pixels.size < size.heightPx.toLong() * size.widthPx) {
            throw PixelException("${pixels.size} pixels are too few for an image of $size")
        }
    }

    /** A new black image. */
    public constructor(size: Size) : this(size, IntArray(byteCount(size) / CHANNELS))

    override fun get(
        row: Int,
        column: Int,
        count: Int,
        into: IntArray,
    ): Unit = System.arraycopy(pixels, row * size.widthPx + column, into, 0, count)

    override fun set(
        row: Int,
        column: Int,
        count: Int,
        from: IntArray,
    ): Unit = System.arraycopy(from, 0, pixels, row * size.widthPx + column, count)
}

internal const val CHANNELS = 3

/** Bytes of an RGB image; a [PixelException] if an array cannot hold so many. */
internal fun byteCount(size: Size): Int {
    checkSize(size)
    val bytes = size.heightPx.toLong() * size.widthPx * CHANNELS
    if (bytes > Int.MAX_VALUE) throw PixelException("an image of $size takes $bytes bytes, more than one buffer holds")
    return bytes.toInt()
}

internal fun checkSize(size: Size) {
    if (size.heightPx < 1 || size.widthPx < 1) throw PixelException("an image of $size is empty")
}
