package io.qsredge.standin

import android.graphics.Bitmap
import android.graphics.Rect
import io.qsredge.android.BitmapRows
import io.qsredge.android.bundleStorage
import io.qsredge.android.installFromAssets
import io.qsredge.android.toYuvImage
import io.qsredge.android.upscale
import io.qsredge.core.ArgbImage
import io.qsredge.core.BundleException
import io.qsredge.core.CancelSignal
import io.qsredge.core.CancelledException
import io.qsredge.core.PixelException
import io.qsredge.core.QsrBundle
import io.qsredge.core.QsrUpscaler
import io.qsredge.core.RgbImage
import io.qsredge.core.Size
import io.qsredge.core.TestBackend
import io.qsredge.core.TestBundle
import io.qsredge.core.UpscalerOptions
import io.qsredge.core.YuvImage
import io.qsredge.core.YuvPlane
import io.qsredge.core.YuvRange
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.nio.ByteBuffer
import java.util.Random
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream

/** `runtime-android`'s pixels and assets. */
class ImagesTest {
    private val size = Size(9, 14)

    private fun colours(alpha: (Int) -> Int = { 0xFF }): IntArray {
        val random = Random(3)
        return IntArray(size.heightPx * size.widthPx) { (alpha(it) shl 24) or random.nextInt(1 shl 24) }
    }

    private fun bitmap(
        pixels: IntArray,
        config: Bitmap.Config = Bitmap.Config.ARGB_8888,
    ) = Bitmap.createBitmap(pixels, size.widthPx, size.heightPx, config)

    private fun pixelsOf(bitmap: Bitmap) =
        IntArray(bitmap.width * bitmap.height).also {
            bitmap.getPixels(it, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        }

    private fun withUpscaler(test: (QsrUpscaler) -> Unit) =
        withPhone { _, _, folder ->
            val bundle = QsrBundle.open(TestBundle.write(folder.resolve("bundle")))
            QsrUpscaler(bundle, TestBackend(), UpscalerOptions(depth = 3, tilePx = 6)).use(test)
        }

    /** What the library makes of the same picture in an array, which the core's own tests check. */
    private fun expected(
        upscaler: QsrUpscaler,
        pixels: IntArray,
    ): IntArray {
        val output = ArgbImage(Size(2 * size.heightPx, 2 * size.widthPx))
        upscaler.upscalePicture(ArgbImage(size, pixels), output)
        return output.pixels
    }

    @Test
    fun anOpaqueBitmapGivesTheBytesOfTheCore() =
        withUpscaler { upscaler ->
            val pixels = colours()
            val output = upscaler.upscale(bitmap(pixels))
            assertEquals(Size(18, 28), Size(output.height, output.width))
            assertEquals(Bitmap.Config.ARGB_8888, output.config)
            assertArrayEquals(expected(upscaler, pixels), pixelsOf(output))
        }

    @Test
    fun everyConfigurationIsReadAsItsColours() =
        withUpscaler { upscaler ->
            val pixels = colours()
            val hardware = bitmap(pixels).copy(Bitmap.Config.HARDWARE, false)
            assertThrows(IllegalStateException::class.java) { pixelsOf(hardware!!) }
            assertArrayEquals(expected(upscaler, pixels), pixelsOf(upscaler.upscale(hardware!!)))
            val coarse = bitmap(pixels, Bitmap.Config.RGB_565)
            val kept = pixelsOf(coarse)
            assertFalse(kept.contentEquals(pixels))
            assertArrayEquals(expected(upscaler, kept), pixelsOf(upscaler.upscale(coarse)))
        }

    @Test
    fun alphaSurvivesAndOnlyTheColoursThatAndroidKeepsAreShown() =
        withUpscaler { upscaler ->
            val source = bitmap(colours { if (it % 3 == 0) 0 else 40 + it })
            // Android keeps colours multiplied by alpha: what it gives is what there is.
            val kept = pixelsOf(source)
            assertEquals(0, kept[0])
            val output = pixelsOf(upscaler.upscale(source))
            val wanted = expected(upscaler, kept)
            assertArrayEquals(wanted.map { it ushr 24 }.toIntArray(), output.map { it ushr 24 }.toIntArray())
            val shown =
                Bitmap.createBitmap(28, 18, Bitmap.Config.ARGB_8888).also { it.setPixels(wanted, 0, 28, 0, 0, 28, 18) }
            assertArrayEquals(pixelsOf(shown), output)
        }

    @Test
    fun partsOfRowsAreReadAndWrittenWhereTheyAre() {
        val pixels = colours()
        val target = Bitmap.createBitmap(size.widthPx, size.heightPx, Bitmap.Config.ARGB_8888)
        val part = ByteBuffer.allocate(15)
        BitmapRows(bitmap(pixels)).read(4, 3, 5, part)
        part.flip()
        BitmapRows(target).write(4, 3, part)
        val found = pixelsOf(target)
        for (i in found.indices) {
            val inside = i / size.widthPx == 4 && i % size.widthPx in 3..7
            assertEquals("$i", if (inside) pixels[i] else 0, found[i])
        }
    }

    @Test
    fun whatCannotBeDoneIsSaid() =
        withUpscaler { upscaler ->
            val hardware = bitmap(colours()).copy(Bitmap.Config.HARDWARE, false)
            Bitmap.limitBytes = 100
            try {
                val error = assertThrows(PixelException::class.java) { upscaler.upscale(hardware!!) }
                assertEquals("no memory to copy the bitmap; decode it as ARGB_8888", error.message)
            } finally {
                Bitmap.limitBytes = Long.MAX_VALUE
            }
            val cancel = CancelSignal().apply { cancel() }
            assertThrows(CancelledException::class.java) { upscaler.upscale(bitmap(colours()), cancel) }
            val recycled = bitmap(colours()).apply { recycle() }
            assertThrows(IllegalStateException::class.java) { upscaler.upscale(recycled) }
            // The upscaler is none the worse for it.
            assertEquals(18, upscaler.upscale(bitmap(colours())).height)
            val told = ArrayList<Pair<Int, Int>>()
            upscaler.upscale(bitmap(colours())) { done, total -> told += done to total }
            assertEquals(told.size to told.size, told.last())
        }

    /** The frame's numbers without gaps, for the core to read. */
    private fun packed(
        crop: Rect,
        samples: CameraImage.Samples,
        range: YuvRange,
    ): YuvImage {
        fun plane(
            index: Int,
            rows: Int,
            columns: Int,
        ): YuvPlane {
            val bytes = ByteArray(rows * columns) { samples.at(index, it / columns, it % columns).toByte() }
            return YuvPlane(ByteBuffer.wrap(bytes), columns, 1)
        }
        return YuvImage(
            Size(crop.height(), crop.width()),
            plane(0, 10, 16),
            plane(1, 5, 8),
            plane(2, 5, 8),
            range,
            crop.top,
            crop.left,
        )
    }

    @Test
    fun aCamerasFrameIsReadInItsCropThroughItsStrides() =
        withUpscaler { upscaler ->
            val samples =
                CameraImage.Samples { plane, row, column -> (plane * 71 + row * 29 + column * 13 + row * column) % 256 }
            for (crop in listOf(Rect(0, 0, 16, 10), Rect(2, 4, 14, 10), Rect(3, 1, 12, 8))) {
                for (range in YuvRange.entries) {
                    val frame = CameraImage(16, 10, 48, crop, samples)
                    val rgb = { image: YuvImage ->
                        RgbImage(Size(2 * crop.height(), 2 * crop.width()))
                            .also { upscaler.upscale(image, it) }
                            .toByteArray()
                    }
                    assertArrayEquals(rgb(packed(crop, samples, range)), rgb(frame.toYuvImage(range)))
                    assertArrayEquals(rgb(packed(crop, samples, YuvRange.FULL)), rgb(frame.toYuvImage()))
                    frame.close()
                    assertThrows(IllegalStateException::class.java) { frame.toYuvImage(range) }
                }
            }
            val jpeg = CameraImage(256, 16, 10, 0, Rect(0, 0, 16, 10), samples)
            val error = assertThrows(PixelException::class.java) { jpeg.toYuvImage() }
            assertEquals("an image of format 256, expected YUV_420_888", error.message)
        }

    @Test
    fun bundlesAreInstalledFromAssetsOnce() =
        withPhone { phone, _, folder ->
            val written = TestBundle.write(folder.resolve("bundle"))
            phone.ship(written, "models/qsr")
            val context = phone.application()
            val bundle = installFromAssets(context, "models/qsr")
            assertEquals(phone.filesDir.resolve("qsr-edge-bundles"), bundleStorage(context))
            assertEquals(bundleStorage(context), bundle.root.parentFile)
            for (file in listOf("d1.tflite", "d3.tflite")) {
                assertArrayEquals(written.resolve(file).readBytes(), bundle.root.resolve(file).readBytes())
            }
            val times = bundle.root.resolve("d1.tflite").lastModified()
            assertEquals(bundle.root, installFromAssets(context, "models/qsr").root)
            assertEquals(times, bundle.root.resolve("d1.tflite").lastModified())
            val zip = folder.resolve("qsr.zip")
            ZipOutputStream(zip.outputStream()).use { output ->
                for (file in written.listFiles().orEmpty()) {
                    output.putNextEntry(ZipEntry(file.name))
                    output.write(file.readBytes())
                    output.closeEntry()
                }
            }
            phone.assets.put("qsr.zip", zip.readBytes())
            assertEquals(bundle.root, installFromAssets(context, "qsr.zip").root)
            val missing = assertThrows(BundleException::class.java) { installFromAssets(context, "models") }
            assertTrue(missing.message!!, "manifest" in missing.message!!)
            assertThrows(BundleException::class.java) { installFromAssets(context, "none.zip") }
        }
}
