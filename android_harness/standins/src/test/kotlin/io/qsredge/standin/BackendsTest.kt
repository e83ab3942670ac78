package io.qsredge.standin

import io.qsredge.core.Backend
import io.qsredge.core.BackendException
import io.qsredge.core.Size
import io.qsredge.core.TestBundle
import io.qsredge.executorch.ExecuTorchBackend
import io.qsredge.litert.LiteRtBackend
import io.qsredge.onnx.OnnxRuntimeBackend
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Random

/** The three back ends against the manners of their runtimes' Java interfaces. */
class BackendsTest {
    private fun direct(bytes: Int) = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

    private fun model(folder: File) = folder.resolve("d1.bin").apply { writeText("5\n") }

    private fun programFile(
        folder: File,
        content: ByteArray = program(),
    ) = folder.resolve("d1.pte").apply { writeBytes(content) }

    /** Windows of several sizes and back, as tiles and frames come. */
    private fun checkSizes(
        backend: Backend,
        file: File,
        signature: String? = null,
        depth: Int = 1,
        kernels: String? = null,
        seed: File = file,
    ) = backend.load(spec(file, depth, signature, kernels = kernels)).use { model ->
        for ((i, size) in listOf(Size(3, 5), Size(3, 5), Size(6, 2), Size(3, 5)).withIndex()) {
            val pixels = ByteArray(3 * size.heightPx * size.widthPx).also { Random(1L + i).nextBytes(it) }
            val input = direct(pixels.size).apply { put(pixels) }
            val output = direct(4 * pixels.size)
            input.clear()
            model.run(size, input, output)
            output.clear()
            val found = ByteArray(output.capacity()).also { output.get(it) }
            assertArrayEquals(TestBundle.whole(seed, depth, pixels, size), found)
        }
    }

    @Test
    fun liteRtTakesAnySizeWithAndWithoutSignatures() =
        withPhone { _, engine, folder ->
            val backend = LiteRtBackend()
            assertEquals("LiteRT 9.9", backend.runtime)
            assertEquals("tflite", backend.target)
            assertEquals(null, backend.largestSidePx)
            checkSizes(backend, model(folder))
            checkSizes(backend, model(folder), "d3", 3)
            checkSizes(backend, model(folder), kernels = backend.kernels[1])
            assertEquals(listOf(3 to "xnnpack", 3 to "xnnpack", 3 to "builtin"), engine.opened)
            assertEquals(3, engine.closed.size)
            // A file for one size is planned for it already.
            backend.load(spec(model(folder), inputSize = Size(1, 1))).use { it.run(Size(1, 1), direct(3), direct(12)) }
        }

    @Test
    fun executorchRunsTheMethodThatThereIs() =
        withPhone { _, engine, folder ->
            val backend = ExecuTorchBackend()
            assertEquals(
                listOf("executorch", "ExecuTorch", 1024),
                backend.run { listOf(target, runtime, largestSidePx) },
            )
            val seed = model(folder)
            checkSizes(backend, programFile(folder), seed = seed)
            checkSizes(backend, programFile(folder), "d3", 3, "xnnpack", seed)
            engine.delegates = arrayOf()
            checkSizes(backend, programFile(folder), kernels = "portable", seed = seed)
            val error =
                assertThrows(
                    BackendException::class.java,
                ) { backend.load(spec(programFile(folder), kernels = "xnnpack")) }
            assertTrue(error.message, error.message!!.endsWith("got 'xnnpack'; expected portable"))
            folder.resolve("d1.ptd").writeText("weights")
            assertThrows(BackendException::class.java) { backend.load(spec(programFile(folder))) }
        }

    @Test
    fun executorchSaysWhichProgramItCannotRun() =
        withPhone { _, engine, folder ->
            fun refusal(content: ByteArray) =
                assertThrows(BackendException::class.java) {
                    ExecuTorchBackend().load(spec(programFile(folder, content)))
                }.message!!.substringAfter("d1.pte: ")
            val remedy = "convert with the ExecuTorch release that the app has"
            assertEquals(
                "a program of schema version 1, ExecuTorch 1.5.1 reads up to 0; $remedy",
                refusal(program(schemaVersion = 1)),
            )
            val begins = "a program for ExecuTorch 1.5.1 as 'ET12'; $remedy"
            assertEquals("begins as 'ET13', $begins", refusal(program("ET13")))
            assertEquals("begins as '???~', $begins", refusal(program("\u0000\n\u007f~")))
            for (size in listOf(0, 3, 7, 10, 15, 19, 23)) {
                val cut = refusal(program().copyOf(size))
                assertEquals("is cut, or no ExecuTorch program; install the bundle anew", cut)
            }
            assertEquals(0, engine.opened.size)
            // The version is not written where it is the default.
            ExecuTorchBackend().load(spec(programFile(folder, program(schemaVersion = null)))).close()
            val folderItself = spec(folder.resolve("d3.pte").apply { mkdir() })
            assertThrows(BackendException::class.java) { ExecuTorchBackend().load(folderItself) }
        }

    @Test
    fun onnxRuntimeRunsOnTheCpuAndOnTheNpu() =
        withPhone { _, engine, folder ->
            val backend = OnnxRuntimeBackend()
            assertEquals(
                listOf("onnx", "ONNX Runtime 9.9", null),
                backend.run { listOf(target, runtime, largestSidePx) },
            )
            checkSizes(backend, model(folder))
            assertEquals(listOf(3 to "cpu"), engine.opened)
            // A session for each size that comes, and one for the size that the file is for.
            checkSizes(backend, model(folder), kernels = "htp")
            assertEquals(List(3) { 3 to "htp" }, engine.opened.drop(1))
            backend.load(spec(model(folder), inputSize = Size(2, 2), kernels = "htp")).use {
                it.run(Size(2, 2), direct(12), direct(48))
            }
            assertEquals(engine.opened.size, engine.closed.size)
        }

    @Test
    fun aFileThatIsNoModelIsRefusedInOneLine() =
        withPhone { _, _, folder ->
            val broken = folder.resolve("d1.bin").apply { writeText("not a model") }
            for (backend in listOf(LiteRtBackend(), ExecuTorchBackend(), OnnxRuntimeBackend())) {
                for (file in listOf(broken, folder.resolve("none"))) {
                    val error = assertThrows(BackendException::class.java) { backend.load(spec(file)) }
                    assertTrue(error.message, error.message!!.startsWith("$file: "))
                    assertTrue(error.message, "\n" !in error.message!!)
                }
            }
        }

    @Test
    fun aBufferOfAnotherSizeIsRefused() =
        withPhone { _, _, folder ->
            for (backend in listOf(LiteRtBackend(), ExecuTorchBackend(), OnnxRuntimeBackend())) {
                val file = if (backend is ExecuTorchBackend) programFile(folder) else model(folder)
                backend.load(spec(file)).use { model ->
                    assertThrows("$backend", BackendException::class.java) {
                        model.run(Size(4, 4), direct(47), direct(192))
                    }
                    assertThrows("$backend", BackendException::class.java) {
                        model.run(Size(4, 4), direct(48), direct(100))
                    }
                }
            }
        }
}
