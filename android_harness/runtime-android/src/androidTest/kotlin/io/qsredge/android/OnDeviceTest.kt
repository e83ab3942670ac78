package io.qsredge.android

import android.graphics.Bitmap
import androidx.test.platform.app.InstrumentationRegistry
import io.qsredge.core.ArgbImage
import io.qsredge.core.QsrBundle
import io.qsredge.core.QsrUpscaler
import io.qsredge.core.Size
import io.qsredge.core.TestBackend
import io.qsredge.core.TestBundle
import io.qsredge.core.UpscalerOptions
import io.qsredge.core.inTemporaryFolder
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.Random

/**
 * Runs on a phone or an emulator, and on the desktop against the stand-ins of Android: where a phone does otherwise, the
 * stand-in is wrong.
 */
class OnDeviceTest {
    private val context get() = InstrumentationRegistry.getInstrumentation().targetContext
    private val size = Size(9, 14)
    private val opaque = Random(3).let { random -> IntArray(9 * 14) { (0xFF shl 24) or random.nextInt(1 shl 24) } }

    private fun bitmap(
        pixels: IntArray,
        config: Bitmap.Config = Bitmap.Config.ARGB_8888,
    ) = Bitmap.createBitmap(pixels, size.widthPx, size.heightPx, config)

    private fun pixelsOf(bitmap: Bitmap) =
        IntArray(bitmap.width * bitmap.height).also {
            bitmap.getPixels(it, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        }

    private fun withUpscaler(test: (QsrUpscaler) -> Unit) =
        inTemporaryFolder { folder ->
            val bundle = QsrBundle.open(TestBundle.write(folder.resolve("bundle")))
            QsrUpscaler(bundle, TestBackend(), UpscalerOptions(depth = 3, tilePx = 6)).use(test)
        }

    private fun expected(
        upscaler: QsrUpscaler,
        pixels: IntArray,
    ) = ArgbImage(Size(18, 28)).also { upscaler.upscalePicture(ArgbImage(size, pixels), it) }.pixels

    @Test
    fun anOpaqueBitmapGivesTheBytesOfTheCore() =
        withUpscaler { upscaler ->
            assertArrayEquals(expected(upscaler, opaque), pixelsOf(upscaler.upscale(bitmap(opaque))))
        }

    @Test
    fun aHardwareBitmapIsCopiedAndAnotherConfigurationReadAsItsColours() =
        withUpscaler { upscaler ->
            val hardware = bitmap(opaque).copy(Bitmap.Config.HARDWARE, false)
            assertThrows(IllegalStateException::class.java) { pixelsOf(hardware!!) }
            assertArrayEquals(expected(upscaler, opaque), pixelsOf(upscaler.upscale(hardware!!)))
            val coarse = bitmap(opaque, Bitmap.Config.RGB_565)
            assertArrayEquals(expected(upscaler, pixelsOf(coarse)), pixelsOf(upscaler.upscale(coarse)))
        }

    @Test
    fun alphaIsThatOfTheCoreAndNothingTransparentHasAColour() =
        withUpscaler { upscaler ->
            val source =
                bitmap(
                    opaque
                        .mapIndexed { i, it ->
                            if (i % 3 ==
                                0
                            ) {
                                0
                            } else {
                                it and 0x00FFFFFF or (40 + i shl 24)
                            }
                        }.toIntArray(),
                )
            val kept = pixelsOf(source)
            assertEquals(0, kept[0])
            val wanted = expected(upscaler, kept).map { it ushr 24 }
            assertEquals(wanted, pixelsOf(upscaler.upscale(source)).map { it ushr 24 })
        }

    @Test
    fun aRecycledBitmapIsRefused() =
        withUpscaler { upscaler ->
            val recycled = bitmap(opaque).apply { recycle() }
            assertThrows(IllegalStateException::class.java) { upscaler.upscale(recycled) }
        }

    @Test
    fun sensorsTellWhatIsPossibleAndCloseTwice() {
        val sensors = DeviceSensors(context)
        val sample = sensors.sample(1, null, null)
        assertTrue("$sample", sample.batteryPercent in listOf(null) + (0..100))
        assertTrue("$sample", sample.charging != null && sample.powerSave != null)
        sensors.close()
        sensors.close()
    }

    @Test
    fun bundlesLieWhereNoBackupGoes() {
        val storage = bundleStorage(context)
        assertEquals(context.noBackupFilesDir, storage.parentFile)
    }
}
