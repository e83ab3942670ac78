package io.qsredge.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer
import java.util.Collections
import java.util.Random
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicReference
import kotlin.concurrent.thread

class UpscalerTest {
    private fun noise(
        size: Size,
        seed: Long = 1,
    ) = ByteArray(size.heightPx * size.widthPx * 3).also { Random(seed).nextBytes(it) }

    private fun withUpscaler(
        options: UpscalerOptions = UpscalerOptions(depth = 3, tilePx = 9),
        sensors: SensorSource? = null,
        listener: UpscalerListener? = null,
        test: (QsrUpscaler, TestBackend, QsrBundle) -> Unit,
    ) = inTemporaryFolder { folder ->
        val bundle = QsrBundle.open(TestBundle.write(folder))
        val backend = TestBackend()
        val upscaler = QsrUpscaler(bundle, backend, options, sensors, listener)
        try {
            test(upscaler, backend, bundle)
        } finally {
            upscaler.close()
        }
        waitFor("all models to be closed") { synchronized(backend.models) { backend.models.all { it.closed } } }
    }

    private fun waitFor(
        what: String,
        condition: () -> Boolean,
    ) {
        val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S)
        while (!condition()) {
            check(System.nanoTime() < end) { "waited in vain for $what" }
            Thread.sleep(1)
        }
    }

    @Test
    fun tilesGiveTheBytesOfTheWholeImage() =
        withUpscaler { upscaler, _, bundle ->
            val random = Random(2)
            val sizes =
                listOf(Size(1, 1), Size(3, 40), Size(41, 2), Size(27, 19)) +
                    List(12) { Size(1 + random.nextInt(40), 1 + random.nextInt(40)) }
            for (size in sizes) {
                val image = noise(size, random.nextLong())
                val whole = TestBundle.whole(bundle.root.resolve("d3.tflite"), 3, image, size)
                val steps = ArrayList<Int>()
                val found = upscaler.upscale(RgbImage(size, image)) { done, total -> steps += done + 1000 * total }
                assertArrayEquals("$size", whole, found.toByteArray())
                assertEquals(steps.indices.map { it + 1 + 1000 * steps.size }, steps)
            }
        }

    @Test
    fun windowsAreNoLargerThanTheRuntimeTakes() =
        inTemporaryFolder { folder ->
            val bundle = QsrBundle.open(TestBundle.write(folder))
            val size = Size(50, 13)
            val image = noise(size)
            var widest = 0
            val narrow =
                object : Backend by TestBackend() {
                    override val largestSidePx = 16

                    override fun load(spec: ModelSpec): LoadedModel {
                        val model = TestNetwork(spec.file, spec.depth)
                        return object : LoadedModel by model {
                            override fun run(
                                size: Size,
                                input: ByteBuffer,
                                output: ByteBuffer,
                            ) {
                                widest = maxOf(widest, size.heightPx, size.widthPx)
                                model.run(size, input, output)
                            }
                        }
                    }
                }
            QsrUpscaler(bundle, narrow).use { upscaler ->
                val found = upscaler.upscale(RgbImage(size, image)).toByteArray()
                assertArrayEquals(TestBundle.whole(folder.resolve("d3.tflite"), 3, image, size), found)
            }
            assertTrue("$widest", widest in 14..16)
        }

    @Test
    fun aHaloTooSmallLeavesSeams() =
        inTemporaryFolder { folder ->
            // Shows that the test above can fail.
            val file = TestBundle.write(folder).resolve("d3.tflite")
            val size = Size(30, 30)
            val image = noise(size)
            val output = RgbImage(Size(60, 60))
            val entry = DepthEntry(3, file.name, null, 3, "", 1, emptyList())
            TiledUpscaling(TestNetwork(file, 3), 2, entry, null, null).run(RgbImage(size, image), output, 9)
            assertFalse(TestBundle.whole(file, 3, image, size).contentEquals(output.toByteArray()))
        }

    /** Sums over windows of 4 pixels, over those shifted by 2, and over 3 rows and columns; an output pixel for four. */
    private class WindowNetwork : LoadedModel {
        override fun run(
            size: Size,
            input: ByteBuffer,
            output: ByteBuffer,
        ) {
            assertEquals(0, size.heightPx % 4 + size.widthPx % 4)
            var layer = IntArray(input.capacity()) { input.get(it).toInt() and 0xFF }

            fun sums(around: (Int) -> IntRange) =
                IntArray(layer.size) { i ->
                    val rows = around(i / 3 / size.widthPx).filter { it in 0 until size.heightPx }
                    val columns = around(i / 3 % size.widthPx).filter { it in 0 until size.widthPx }
                    val pixels = rows.flatMap { row -> columns.map { row * size.widthPx + it } }
                    (3 * layer[i] + pixels.sumOf { layer[3 * it + i % 3] * (it % 2 + 1) }) and 0xFF
                }
            layer = sums { (it / 4 * 4).let { first -> first until first + 4 } }
            layer = sums { ((it + 2) / 4 * 4 - 2).let { first -> first until first + 4 } }
            layer = sums { it - 1..it + 1 }
            for (i in 0 until output.capacity()) {
                val pixel = i / 3 / (2 * size.widthPx) / 2 * size.widthPx + i / 3 % (2 * size.widthPx) / 2
                output.put(i, layer[3 * pixel + i % 3].toByte())
            }
        }

        override fun close() = Unit
    }

    private fun tiledOnGrid(
        image: ByteArray,
        size: Size,
        window: Size?,
        haloPx: Int,
    ): ByteArray {
        val entry = DepthEntry(1, "", null, 1 shl 15, "", 1, emptyList(), TileGrid(4, haloPx))
        val output = RgbImage(Size(2 * size.heightPx, 2 * size.widthPx))
        TiledUpscaling(WindowNetwork(), 2, entry, window, 22).run(RgbImage(size, image), output, 7)
        return output.toByteArray()
    }

    @Test
    fun tilesOnAGridGiveTheBytesOfTheWholeImage() {
        var seams = 0
        for (size in listOf(Size(1, 1), Size(2, 30), Size(29, 3), Size(31, 22), Size(24, 33), Size(26, 26))) {
            val image = noise(size)
            val padded = Size((size.heightPx + 3) / 4 * 4, (size.widthPx + 3) / 4 * 4)

            fun mirrored(
                at: Int,
                length: Int,
            ): Int {
                var found = if (length == 1) 0 else at
                while (found !in 0 until length) found = if (found < 0) -found else 2 * (length - 1) - found
                return found
            }
            val completed =
                ByteArray(padded.heightPx * padded.widthPx * 3) { i ->
                    val row = mirrored(i / 3 / padded.widthPx, size.heightPx)
                    val column = mirrored(i / 3 % padded.widthPx, size.widthPx)
                    image[(row * size.widthPx + column) * 3 + i % 3]
                }
            val input = ByteBuffer.allocateDirect(completed.size).apply { put(completed) }
            val output = ByteBuffer.allocateDirect(4 * completed.size)
            WindowNetwork().run(padded, input, output)
            val whole =
                ByteArray(4 * image.size) { i ->
                    val row = i / 3 / (2 * size.widthPx)
                    val column = i / 3 % (2 * size.widthPx)
                    output.get((row * 2 * padded.widthPx + column) * 3 + i % 3)
                }
            val windows = listOf(null, padded, Size(minOf(12, padded.heightPx), minOf(16, padded.widthPx)))
            for (window in windows) {
                assertArrayEquals("$size by $window", whole, tiledOnGrid(image, size, window, 4))
                if (!whole.contentEquals(tiledOnGrid(image, size, window, 2))) seams++
            }
        }
        assertTrue("a halo too small must show", seams > 4)
        assertThrows(TileException::class.java) { tiledOnGrid(noise(Size(30, 30)), Size(30, 30), Size(8, 32), 4) }
        assertThrows(TileException::class.java) { tiledOnGrid(noise(Size(30, 30)), Size(30, 30), Size(14, 14), 4) }
    }

    @Test
    fun theSelfTestComparesEveryDepth() {
        withUpscaler { upscaler, backend, _ ->
            val results = upscaler.selfTest()
            assertEquals(listOf(1, 3), results.map { it.depth })
            assertTrue(results.all { it.equal && it.sha256 == it.expectedSha256 })
            assertEquals(3, backend.models.size)
        }
        inTemporaryFolder { folder ->
            val bundle = QsrBundle.open(TestBundle.write(folder, goldenSha256 = "0".repeat(64)))
            QsrUpscaler(bundle, TestBackend()).use { upscaler ->
                assertTrue(upscaler.selfTest().none { it.equal })
                assertEquals(3, upscaler.depth)
            }
        }
    }

    @Test
    fun framesGoOnWhileAnotherDepthIsLoaded() {
        val told = Collections.synchronizedList(ArrayList<Int>())
        val listener =
            object : UpscalerListener {
                override fun onDepth(
                    depth: Int,
                    reasons: List<String>,
                ) {
                    told += depth
                }
            }
        withUpscaler(UpscalerOptions(depth = 1, tilePx = 9), listener = listener) { upscaler, backend, bundle ->
            val size = Size(20, 23)
            val image = noise(size)
            val shallow = TestBundle.whole(bundle.root.resolve("d1.tflite"), 1, image, size)
            val deep = TestBundle.whole(bundle.root.resolve("d3.tflite"), 3, image, size)
            val held = CountDownLatch(1)
            backend.gate = held
            upscaler.requestDepth(3)
            waitFor("the load") { backend.loads.get() == 2 }
            repeat(5) { assertArrayEquals(shallow, upscaler.upscale(RgbImage(size, image)).toByteArray()) }
            assertEquals(1, upscaler.depth)
            held.countDown()
            waitFor("the change") {
                val found = upscaler.upscale(RgbImage(size, image)).toByteArray()
                assertArrayEquals(if (upscaler.depth == 3) deep else shallow, found)
                upscaler.depth == 3
            }
            assertEquals(listOf(3), told)
            waitFor("the shallow model to be closed") { backend.models[0].closed }
        }
    }

    @Test
    fun theNextDepthIsWarmedUpInItsOwnWindows() =
        inTemporaryFolder { folder ->
            // 12 px at a time: depth 1 has windows of 2 * 2 more, depth 3 of 2 * 4 more.
            val image = RgbImage(Size(60, 60), noise(Size(60, 60)))
            val deep = Collections.synchronizedList(ArrayList<Size>())
            val backend =
                object : Backend by TestBackend() {
                    override fun load(spec: ModelSpec): LoadedModel {
                        val model = TestNetwork(spec.file, spec.depth)
                        return object : LoadedModel by model {
                            override fun run(
                                size: Size,
                                input: ByteBuffer,
                                output: ByteBuffer,
                            ) {
                                model.run(size, input, output)
                                if (spec.depth == 3) deep += size
                            }
                        }
                    }
                }
            val bundle = QsrBundle.open(TestBundle.write(folder))
            QsrUpscaler(bundle, backend, UpscalerOptions(depth = 1, tilePx = 12)).use { upscaler ->
                upscaler.upscale(image)
                upscaler.requestDepth(3)
                waitFor("the warm-up") { deep.size == 1 }
                waitFor("the change") { upscaler.upscale(image).let { upscaler.depth == 3 } }
            }
            assertTrue("${deep.size}", deep.size > 4)
            assertEquals(setOf(deep[0]), deep.toSet())
        }

    @Test
    fun closingEndsASelfTest() =
        withUpscaler { upscaler, backend, _ ->
            val held = CountDownLatch(1)
            backend.gate = held
            val error = AtomicReference<Throwable>()
            val worker = thread { error.set(runCatching { upscaler.selfTest() }.exceptionOrNull()) }
            waitFor("the load") { backend.loads.get() == 2 }
            upscaler.close()
            held.countDown()
            worker.join()
            assertTrue("${error.get()}", error.get() is CancelledException)
            assertEquals(2, backend.loads.get())
        }

    @Test
    fun aRequestThatIsReplacedNeverRuns() =
        withUpscaler(UpscalerOptions(depth = 1)) { upscaler, backend, _ ->
            val held = CountDownLatch(1)
            backend.gate = held
            upscaler.requestDepth(3)
            waitFor("the load") { backend.loads.get() == 2 }
            upscaler.requestDepth(1)
            held.countDown()
            waitFor("the unused model to be closed") { backend.models.size == 2 && backend.models[1].closed }
            upscaler.upscale(RgbImage(Size(4, 4), noise(Size(4, 4))))
            assertEquals(1, upscaler.depth)
        }

    @Test
    fun aDepthThatCannotBeLoadedIsReportedOnceAndFramesGoOn() {
        val errors = Collections.synchronizedList(ArrayList<QsrException>())
        val listener =
            object : UpscalerListener {
                override fun onDepthFailed(
                    depth: Int,
                    error: QsrException,
                ) {
                    errors += error
                }
            }
        withUpscaler(UpscalerOptions(depth = 1), listener = listener) { upscaler, backend, _ ->
            backend.failure = UnsatisfiedLinkError("no library")
            upscaler.requestDepth(3)
            waitFor("the error") { errors.size == 1 }
            assertTrue(errors.single() is BackendException)
            repeat(3) {
                upscaler.requestDepth(3)
                upscaler.upscale(RgbImage(Size(4, 4), noise(Size(4, 4))))
            }
            assertEquals(1, errors.size)
            assertEquals(2, backend.loads.get())
            backend.failure = null
            upscaler.requestDepth(1)
            upscaler.requestDepth(3)
            waitFor("the change") {
                upscaler.upscale(RgbImage(Size(4, 4), noise(Size(4, 4))))
                upscaler.depth == 3
            }
        }
    }

    @Test
    fun theSelectorDecidesByWhatTheSensorsTell() {
        var thermal = 0
        var asked = 0
        val sensors =
            SensorSource { pixels, budget, ratio ->
                asked++
                Sample(System.nanoTime() / 1_000_000, pixels, budget, ratio?.toLong(), thermalStatus = thermal)
            }
        val told = ArrayList<List<String>>()
        val listener =
            object : UpscalerListener {
                override fun onDepth(
                    depth: Int,
                    reasons: List<String>,
                ) {
                    told += reasons
                }
            }
        withUpscaler(UpscalerOptions(tilePx = 9), sensors, listener) { upscaler, _, _ ->
            val image = RgbImage(Size(4, 4), noise(Size(4, 4)))
            assertEquals(1, upscaler.depth)
            waitFor("the deeper network") { upscaler.upscale(image).let { upscaler.depth == 3 } }
            val before = asked
            val began = System.nanoTime()
            repeat(50) { upscaler.upscale(image) }
            val seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - began)
            assertTrue("asked ${asked - before} times in $seconds s", asked - before <= seconds + 1)
            thermal = 4
            waitFor("the shallow network") { upscaler.upscale(image).let { upscaler.depth == 1 } }
            assertEquals(listOf(emptyList(), listOf("hot")), told)
        }
    }

    @Test
    fun whatIsClosedIsNotUsed() =
        withUpscaler { upscaler, backend, bundle ->
            upscaler.close()
            upscaler.close()
            val image = RgbImage(Size(4, 4), noise(Size(4, 4)))
            assertThrows(ClosedException::class.java) { upscaler.upscale(image) }
            assertThrows(ClosedException::class.java) { upscaler.selfTest() }
            assertThrows(ClosedException::class.java) { upscaler.requestDepth(1) }
            assertEquals(1, backend.models.size)
            backend.failure = BackendException("broken")
            assertThrows(BackendException::class.java) { QsrUpscaler(bundle, backend) }
        }

    @Test
    fun workIsCancelledBetweenTwoTiles() =
        withUpscaler { upscaler, _, _ ->
            val image = RgbImage(Size(40, 40), noise(Size(40, 40)))
            val cancel = CancelSignal()
            var tiles = 0
            assertThrows(CancelledException::class.java) {
                upscaler.upscale(image, cancel) { _, _ -> if (++tiles == 3) cancel.cancel() }
            }
            assertEquals(3, tiles)
            upscaler.upscale(image)
            val error = AtomicReference<Throwable>()
            val began = CountDownLatch(1)
            val go = CountDownLatch(1)
            val worker =
                thread {
                    try {
                        upscaler.upscale(image, null) { _, _ ->
                            began.countDown()
                            go.await()
                        }
                    } catch (caught: QsrException) {
                        error.set(caught)
                    }
                }
            began.await()
            val closer = thread { upscaler.close() }
            waitFor("close() to be called") { runCatching { upscaler.requestDepth(1) }.isFailure }
            go.countDown()
            worker.join()
            closer.join()
            assertTrue("${error.get()}", error.get() is CancelledException)
        }

    @Test
    fun whatAnUpscalerCallsCannotUpscaleWithIt() {
        // Hot, so that the policy stays at depth 1: a deeper model that is loaded in time would take over the frame.
        val sensors = SensorSource { px, budget, ratio -> Sample(0, px, budget, ratio?.toLong(), thermalStatus = 3) }
        val errors = ArrayList<Throwable?>()
        var callback = {}
        val asking =
            SensorSource { pixels, budget, ratio ->
                callback()
                sensors.sample(pixels, budget, ratio)
            }
        withUpscaler(UpscalerOptions(tilePx = 9), asking) { upscaler, _, bundle ->
            val size = Size(40, 23)
            val image = noise(size)
            val whole = TestBundle.whole(bundle.root.resolve("d1.tflite"), 1, image, size)
            val small = RgbImage(Size(4, 4), noise(Size(4, 4)))
            callback = { errors += runCatching { upscaler.upscale(small) }.exceptionOrNull() }
            val found = RgbImage(Size(80, 46))
            var rows = 0
            val source =
                object : PixelSource by RgbImage(size, image) {
                    override fun read(
                        row: Int,
                        column: Int,
                        count: Int,
                        into: ByteBuffer,
                    ) {
                        if (rows++ == 20) callback()
                        RgbImage(size, image).read(row, column, count, into)
                    }
                }
            val sink =
                PixelSink { row, column, rgb ->
                    if (row == 50 && column == 0) callback()
                    found.write(row, column, rgb)
                }
            upscaler.upscale(source, sink) { done, _ -> if (done == 2) callback() }
            // The sensors, the source, the progress, the sink; none of them harmed the image.
            assertEquals(List(4) { BusyException::class.java }, errors.map { it?.javaClass })
            assertArrayEquals(whole, found.toByteArray())
            assertEquals(64, upscaler.upscale(small).size.let { it.heightPx * it.widthPx })
        }
    }

    @Test
    fun whatAnUpscalerCallsMayCloseIt() {
        val size = Size(40, 23)
        val image = RgbImage(size, noise(size))
        withUpscaler { upscaler, backend, _ ->
            var rows = 0
            val closing =
                object : PixelSource by image {
                    override fun read(
                        row: Int,
                        column: Int,
                        count: Int,
                        into: ByteBuffer,
                    ) {
                        if (rows++ == 20) upscaler.close()
                        image.read(row, column, count, into)
                    }
                }
            // The window that is being read still runs: a runtime whose model is gone would end the process.
            assertThrows(CancelledException::class.java) { upscaler.upscale(closing, { _, _, _ -> }) }
            assertTrue(rows > 20)
            assertTrue(backend.models.single().closed)
        }
        withUpscaler { upscaler, backend, _ ->
            upscaler.upscale(image) { done, total -> if (done == total) upscaler.close() }
            assertTrue(backend.models.single().closed)
            assertThrows(ClosedException::class.java) { upscaler.upscale(image) }
        }
    }

    @Test
    fun manyThreadsShareAnUpscaler() =
        withUpscaler { upscaler, _, bundle ->
            val failures = Collections.synchronizedList(ArrayList<Throwable>())
            val threads =
                List(4) { n ->
                    thread {
                        try {
                            val size = Size(10 + n, 25 - n)
                            val image = noise(size, n.toLong())
                            val expected =
                                listOf(
                                    1,
                                    3,
                                ).map { TestBundle.whole(bundle.root.resolve("d$it.tflite"), it, image, size) }
                            repeat(15) {
                                upscaler.requestDepth(if ((it + n) % 2 == 0) 1 else 3)
                                val found = upscaler.upscale(RgbImage(size, image)).toByteArray()
                                check(expected.any { it.contentEquals(found) }) { "neither depth's bytes" }
                            }
                        } catch (error: Throwable) {
                            failures += error
                        }
                    }
                }
            threads.forEach { it.join() }
            assertEquals(emptyList<Throwable>(), failures)
        }

    @Test
    fun whatARuntimeThrowsIsABackendException() {
        val spec = ModelSpec(File("m.tflite"), 1, null, 2, null, 1, null)
        assertEquals(5, guarded("LiteRT", spec) { 5 })
        val wrong =
            assertThrows(
                BackendException::class.java,
            ) { guarded("LiteRT", spec) { throw IllegalStateException("odd") } }
        assertEquals("m.tflite: LiteRT cannot load or run it (odd)", wrong.message)
        val missing =
            assertThrows(BackendException::class.java) { guarded("LiteRT", spec) { throw UnsatisfiedLinkError("x") } }
        assertTrue(missing.message!!.startsWith("LiteRT's native library cannot be loaded"))
        assertThrows(PixelException::class.java) { guarded("LiteRT", spec) { throw PixelException("ours") } }
    }

    @Test
    fun weightsApartAreRefusedForARuntimeThatTakesNone() =
        inTemporaryFolder { folder ->
            val spec = ModelSpec(folder.resolve("d1.pte"), 1, null, 2, null, 1, null)
            spec.checkWeightsWithin("it")
            folder.resolve("d1.ptd").writeText("x")
            val error = assertThrows(BackendException::class.java) { spec.checkWeightsWithin("it") }
            assertTrue("${error.message}", error.message!!.contains("--pack per-depth"))
        }

    @Test
    fun aModelIsRunInTheKernelsThatItWasWrittenFor() {
        fun asked(kernels: String?) = ModelSpec(File("d1.pte"), 1, null, 2, null, 1, kernels)
        val xnnpack = arrayOf("XnnpackBackend")
        for (kernels in listOf(null, "xnnpack")) asked(kernels).checkKernels(xnnpack)
        for (kernels in listOf(null, "portable")) asked(kernels).checkKernels(emptyArray())
        val error = assertThrows(BackendException::class.java) { asked("xnnpack").checkKernels(emptyArray()) }
        assertTrue(error.message!!.startsWith("d1.pte: runs in portable kernels as it was written, got 'xnnpack'"))
        assertThrows(BackendException::class.java) { asked("portable").checkKernels(xnnpack) }
    }

    @Test
    fun wrongUseIsRefused() =
        withUpscaler { upscaler, backend, bundle ->
            assertThrows(PixelException::class.java) { RgbImage(Size(2, 2), ByteArray(11)) }
            assertThrows(PixelException::class.java) { RgbImage(Size(0, 2), ByteArray(11)) }
            assertThrows(PixelException::class.java) { ArgbImage(Size(2, 2), IntArray(3)) }
            assertThrows(PixelException::class.java) { RgbImage(Size(40_000, 40_000)) }
            val image = RgbImage(Size(4, 4), noise(Size(4, 4)))
            assertThrows(PixelException::class.java) { upscaler.upscale(image, RgbImage(Size(8, 9))) }
            assertThrows(BundleException::class.java) { upscaler.requestDepth(2) }
            assertThrows(BundleException::class.java) { QsrUpscaler(bundle, backend, UpscalerOptions(depth = 2)) }
            assertThrows(BackendException::class.java) { QsrUpscaler(bundle, backend, UpscalerOptions(kernels = "x")) }
            assertThrows(BackendException::class.java) { QsrUpscaler(bundle, backend, UpscalerOptions(threads = 0)) }
            val other =
                object : Backend by backend {
                    override val target = "executorch"
                }
            val error = assertThrows(BundleException::class.java) { QsrUpscaler(bundle, other) }
            assertTrue(error.message!!.contains("--target executorch"))
        }
}
