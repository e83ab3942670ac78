package io.qsredge.android

import android.content.Context
import android.graphics.Bitmap
import android.graphics.ImageFormat
import android.media.Image
import io.qsredge.core.ArgbRows
import io.qsredge.core.CancelSignal
import io.qsredge.core.PixelException
import io.qsredge.core.Progress
import io.qsredge.core.QsrBundle
import io.qsredge.core.QsrUpscaler
import io.qsredge.core.Size
import io.qsredge.core.YuvImage
import io.qsredge.core.YuvPlane
import io.qsredge.core.YuvRange
import java.io.File

/**
 * Upscale a bitmap of any configuration; the result is ARGB_8888. Alpha, hidden colours and grey are treated as by
 * [QsrUpscaler.upscalePicture], whose parameters and errors these are. Reads and writes the bitmaps row by row: nothing of
 * the size of an image is allocated in the heap. Not for the main thread.
 */
public fun QsrUpscaler.upscale(
    bitmap: Bitmap,
    cancel: CancelSignal? = null,
    progress: Progress? = null,
): Bitmap {
    // The pixels of a hardware bitmap lie in the GPU's memory.
    val readable = if (bitmap.config == Bitmap.Config.HARDWARE) bitmap.copy(Bitmap.Config.ARGB_8888, false) else bitmap
    val source = BitmapRows(readable ?: throw PixelException("no memory to copy the bitmap; decode it as ARGB_8888"))
    val size = outputSize(source.size)
    val output = Bitmap.createBitmap(size.widthPx, size.heightPx, Bitmap.Config.ARGB_8888)
    upscalePicture(source, BitmapRows(output), cancel, progress)
    return output
}

/** A bitmap's pixels, where they are. */
public class BitmapRows(
    private val bitmap: Bitmap,
) : ArgbRows(Size(bitmap.height, bitmap.width)) {
    override fun get(
        row: Int,
        column: Int,
        count: Int,
        into: IntArray,
    ): Unit = bitmap.getPixels(into, 0, count, column, row, count, 1)

    override fun set(
        row: Int,
        column: Int,
        count: Int,
        from: IntArray,
    ): Unit = bitmap.setPixels(from, 0, count, column, row, count, 1)
}

/**
 * A camera's frame, to be read while the image is open; its crop rectangle only.
 *
 * @param range what the numbers mean: a camera gives full range, a video decoder mostly limited range.
 * @throws PixelException if it is not YUV_420_888.
 */
public fun Image.toYuvImage(range: YuvRange = YuvRange.FULL): YuvImage {
    if (format != ImageFormat.YUV_420_888) throw PixelException("an image of format $format, expected YUV_420_888")
    val (y, u, v) = planes.map { YuvPlane(it.buffer, it.rowStride, it.pixelStride) }
    val part = cropRect
    return YuvImage(Size(part.height(), part.width()), y, u, v, range, part.top, part.left)
}

/** Folder for installed bundles: of this app alone, and not copied to another phone by a backup. */
public fun bundleStorage(context: Context): File = File(context.noBackupFilesDir, "qsr-edge-bundles")

/**
 * Install a bundle of the app's assets, once, and open it; errors as [QsrBundle.install].
 *
 * @param asset name of a folder of assets, or of a .zip.
 */
public fun installFromAssets(
    context: Context,
    asset: String,
): QsrBundle = QsrBundle.installFrom({ context.assets.open(it) }, asset, bundleStorage(context))
