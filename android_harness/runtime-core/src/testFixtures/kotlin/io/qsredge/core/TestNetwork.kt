package io.qsredge.core

import java.io.File
import java.nio.ByteBuffer
import java.util.Random
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger

/**
 * A convolutional network computed in Kotlin: `depth` 3x3 convolutions of three channels with zero padding, one to 12
 * channels, and depth to space. A pixel depends on inputs up to `depth + 1` away. Weights come from the file's text.
 */
class TestNetwork(
    file: File,
    private val depth: Int,
) : LoadedModel {
    private val random = Random(file.readText().trim().toLong())
    private val body = List(depth) { IntArray(3 * 3 * 3 * 3) { random.nextInt(15) - 7 } }
    private val tail = IntArray(3 * 3 * 3 * 12) { random.nextInt(15) - 7 }

    @Volatile
    var closed = false
        private set

    override fun run(
        size: Size,
        input: ByteBuffer,
        output: ByteBuffer,
    ) {
        check(!closed) { "closed" }
        check(input.isDirect && output.isDirect) { "not direct" }
        check(input.capacity() == size.heightPx * size.widthPx * 3 && output.capacity() == 4 * input.capacity())
        var layer = IntArray(input.capacity()) { input.get(it).toInt() and 0xFF }
        for (weights in body) layer = convolve(layer, size, weights, 3)
        val blocks = convolve(layer, size, tail, 12)
        val width = size.widthPx
        for (row in 0 until 2 * size.heightPx) {
            for (column in 0 until 2 * width) {
                val block = (row / 2 * width + column / 2) * 12 + (row % 2 * 2 + column % 2) * 3
                for (c in 0 until 3) output.put((row * 2 * width + column) * 3 + c, blocks[block + c].toByte())
            }
        }
    }

    private fun convolve(
        image: IntArray,
        size: Size,
        weights: IntArray,
        outputs: Int,
    ): IntArray {
        val result = IntArray(size.heightPx * size.widthPx * outputs)
        for (row in 0 until size.heightPx) {
            for (column in 0 until size.widthPx) {
                for (o in 0 until outputs) {
                    var sum = 64
                    for (tap in 0 until 9) {
                        val y = row + tap / 3 - 1
                        val x = column + tap % 3 - 1
                        if (y !in 0 until size.heightPx || x !in 0 until size.widthPx) continue
                        for (c in 0 until 3) {
                            sum += image[(y * size.widthPx + x) * 3 + c] * weights[(tap * 3 + c) * outputs + o]
                        }
                    }
                    result[(row * size.widthPx + column) * outputs + o] = ((sum shr 4) + 128).coerceIn(0, 255)
                }
            }
        }
        return result
    }

    override fun close() {
        closed = true
    }
}

/** How long a test waits for another thread: only one that fails waits so long, whatever else the machine does. */
const val PATIENCE_S = 300L

/** Runs [TestNetwork]; a test may hold a load back, or let it fail. */
class TestBackend : Backend {
    override val target = "tflite"
    override val runtime = "test 1"
    override val kernels = listOf("plain")
    override val largestSidePx: Int? = null
    val models = ArrayList<TestNetwork>()
    val loads = AtomicInteger()

    @Volatile
    var gate: CountDownLatch? = null

    @Volatile
    var failure: Throwable? = null

    override fun load(spec: ModelSpec): LoadedModel {
        loads.incrementAndGet()
        gate?.let { check(it.await(PATIENCE_S, TimeUnit.SECONDS)) }
        failure?.let { throw it }
        return TestNetwork(spec.file, spec.depth).also { synchronized(models) { models += it } }
    }
}

/** Writes bundles whose networks are [TestNetwork]s of the depths 1 and 3. */
object TestBundle {
    const val SEED = 7L
    val goldenSize = Size(12, 17)

    fun write(
        folder: File,
        seed: Long = SEED,
        goldenSha256: String? = null,
        dwellMs: Long = 0,
    ): File {
        folder.mkdirs()
        val hashes =
            listOf(1, 3).associateWith { depth ->
                val file = File(folder, "d$depth.tflite").apply { writeText("$seed\n") }
                goldenSha256
                    ?: Golden.sha256Of(whole(file, depth, Golden.image(GoldenInput(5, goldenSize)), goldenSize))
            }
        val depths =
            hashes.entries.joinToString(",") { (depth, hash) ->
                """{"depth": $depth, "file": "d$depth.tflite", "macs_per_pixel": 1, "bops_per_pixel": 1,
                "peak_activation_bytes_per_pixel": 1, "halo_px": ${depth + 1}, "golden_sha256": "$hash", "quality": []}"""
            }
        val files =
            listOf("d1.tflite", "d3.tflite").joinToString(",") {
                val content = File(folder, it).readBytes()
                """{"path": "$it", "sha256": "${Golden.sha256Of(content)}", "bytes": ${content.size}}"""
            }
        val rest =
            """  "schema_version": "1.1", "name": "test", "target": "tflite", "storage": "fast", "pack": "per-depth",
            "profile": "portable", "bits": 4, "scale": 2, "runtime": "test", "licence": "CC0-1.0",
            "selector": {"initial_depth": 1, "dwell_ms": $dwellMs, "max_gap_ms": 100000, "latency_margin_milli": 0,
              "headroom_margin_milli": 0, "battery_margin_percent": 0, "rules": [{"name": "hot", "max_depth": 1,
              "unknown_counts": false, "thermal_status_at_least": 3}]},
            "latency": {"source": "test", "entries": [{"depth": 1, "us_per_megapixel": 10},
              {"depth": 3, "us_per_megapixel": 30}]},
            "depths": [$depths], "golden": {"seed": 5, "height_px": ${goldenSize.heightPx},
            "width_px": ${goldenSize.widthPx}}, "parity": [], "provenance": {}, "files": [$files]}"""
        val digest = Golden.sha256Of("{\n$rest".toByteArray())
        File(folder, Manifest.FILE_NAME).writeText("{\n  \"manifest_sha256\": \"$digest\",\n$rest")
        return folder
    }

    /** The whole image run at once. */
    fun whole(
        file: File,
        depth: Int,
        image: ByteArray,
        size: Size,
    ): ByteArray {
        val input = ByteBuffer.allocateDirect(image.size).apply { put(image) }
        val output = ByteBuffer.allocateDirect(image.size * 4)
        TestNetwork(file, depth).run(size, input, output)
        return ByteArray(image.size * 4).also { output.get(it) }
    }
}

/** A folder that is gone afterwards. */
fun inTemporaryFolder(test: (File) -> Unit) {
    val folder =
        java.nio.file.Files
            .createTempDirectory("qsr")
            .toFile()
    try {
        test(folder)
    } finally {
        folder.deleteRecursively()
    }
}
