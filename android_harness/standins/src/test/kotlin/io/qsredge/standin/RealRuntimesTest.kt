package io.qsredge.standin

import android.graphics.Bitmap
import io.qsredge.android.installFromAssets
import io.qsredge.android.upscale
import io.qsredge.core.Backend
import io.qsredge.core.LoadedModel
import io.qsredge.core.ModelSpec
import io.qsredge.core.QsrUpscaler
import io.qsredge.core.Size
import io.qsredge.core.UpscalerOptions
import io.qsredge.executorch.ExecuTorchBackend
import io.qsredge.jvm.ProcessBackend
import io.qsredge.litert.LiteRtBackend
import io.qsredge.onnx.OnnxRuntimeBackend
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer

/**
 * The Android library with the real runtimes behind the stand-ins of their Java interfaces, against what Python computed.
 * `tests/integration/test_android_standins.py` writes the cases below the folder that `qsr.cases` names: a bundle as `qsr`,
 * `HEIGHTxWIDTH.rgb`, and what becomes of it at a depth as `dDEPTH.rgb`.
 */
class RealRuntimesTest {
    /** The process that runs qsr-edge's back ends, as the stand-ins see it. */
    private class ProcessEngine(
        private val process: ProcessBackend,
    ) : Engine {
        override fun version() = process.runtime

        override fun open(
            file: File,
            threads: Int,
            kernels: String?,
        ) = object : Engine.Model {
            private val models = HashMap<String?, LoadedModel>()

            override fun run(
                signature: String?,
                heightPx: Int,
                widthPx: Int,
                rgb: ByteArray,
            ): ByteArray {
                val model =
                    models.getOrPut(signature) {
                        val depth = (signature ?: file.nameWithoutExtension).takeLastWhile(Char::isDigit).toInt()
                        process.load(ModelSpec(file, depth, signature, SCALE, null, threads, kernels))
                    }
                val input = ByteBuffer.allocateDirect(rgb.size).apply { put(rgb) }
                val output = ByteBuffer.allocateDirect(SCALE * SCALE * rgb.size)
                model.run(Size(heightPx, widthPx), input, output)
                output.clear()
                return ByteArray(output.capacity()).also { output.get(it) }
            }

            override fun delegates() = arrayOf("XnnpackBackend")

            override fun close() = models.values.forEach(LoadedModel::close)
        }
    }

    private fun opaque(rgb: ByteArray) =
        IntArray(rgb.size / 3) { pixel ->
            (0..2).fold(0xFF) { colour, channel -> colour shl 8 or (rgb[3 * pixel + channel].toInt() and 0xFF) }
        }

    private fun check(
        phone: Phone,
        case: File,
        backend: Backend,
    ) {
        phone.ship(case.resolve("qsr"), "qsr")
        val bundle = installFromAssets(phone.application(), "qsr")
        val picture = case.listFiles().orEmpty().single { "x" in it.name && it.extension == "rgb" }
        val (height, width) = picture.nameWithoutExtension.split("x").map(String::toInt)
        val photo = Bitmap.createBitmap(opaque(picture.readBytes()), width, height, Bitmap.Config.ARGB_8888)
        var compared = 0
        for (depth in bundle.manifest.depths.map { it.depth }) {
            val options = UpscalerOptions(depth = depth, threads = 1, tilePx = 16)
            QsrUpscaler(bundle, backend, options).use { upscaler ->
                if (compared++ == 0) assertTrue(upscaler.selfTest().all { it.equal })
                val made = upscaler.upscale(photo)
                val found = IntArray(made.width * made.height)
                made.getPixels(found, 0, made.width, 0, 0, made.width, made.height)
                val expected = opaque(case.resolve("d$depth.rgb").readBytes())
                assertEquals("$case, depth $depth", 0, found.indices.count { found[it] != expected[it] })
                assertEquals(expected.size, found.size)
            }
        }
        println("$case: ${backend.runtime}, $compared depths, 0 bytes differ")
    }

    @Test
    fun theLibraryGivesPythonsBytes() {
        val cases = File(System.getProperty("qsr.cases")).listFiles().orEmpty().sorted()
        assertTrue(cases.isNotEmpty())
        for (case in cases) {
            val target = case.name.substringBefore('-')
            ProcessBackend(target, System.getProperty("qsr.python"), System.getProperty("qsr.worker")).use { process ->
                withPhone { phone, _, _ ->
                    Engine.USED[0] = ProcessEngine(process)
                    val backend =
                        when (target) {
                            "tflite" -> LiteRtBackend()
                            "executorch" -> ExecuTorchBackend()
                            else -> OnnxRuntimeBackend()
                        }
                    check(phone, case, backend)
                }
            }
        }
    }
}

private const val SCALE = 2
