package io.qsredge.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer
import java.util.Base64

/** Pictures with alpha and grey ones: the bytes of the Python package on every vector of `tests/vectors/pictures.jsonl`. */
class PictureTest {
    private val folder = File(requireNotNull(System.getProperty("qsr.vectors")) { "set -Dqsr.vectors=tests/vectors" })
    private val vectors =
        folder
            .resolve("pictures.jsonl")
            .readText()
            .removeSuffix("\n")
            .split("\n")
            .map { Json.parse(it) as Json.Object }

    private fun Json.Object.int(key: String): Int = (this[key] as Json.Number).value.intValueExact()

    private fun Json.Object.bytes(key: String): ByteArray = Base64.getDecoder().decode((this[key] as Json.Text).value)

    private val Json.Object.why get() = (this["why"] as Json.Text).value

    private val Json.Object.picture: ArgbImage
        get() {
            val (height, width) = (this["size"] as Json.Array).values.map { (it as Json.Number).value.intValueExact() }
            return ArgbImage(Size(height, width), ints(bytes("argb")))
        }

    private fun ints(bytes: ByteArray): IntArray {
        val buffer = ByteBuffer.wrap(bytes).asIntBuffer()
        return IntArray(bytes.size / 4).also { buffer.get(it) }
    }

    /** `Sharpener` of `tests/vectors/make.py`; counts its runs. */
    private class Sharpener(
        private val scale: Int,
    ) : LoadedModel {
        var runs = 0

        override fun run(
            size: Size,
            input: ByteBuffer,
            output: ByteBuffer,
        ) {
            runs++

            fun level(
                row: Int,
                column: Int,
                channel: Int,
            ): Int {
                if (row !in 0 until size.heightPx || column !in 0 until size.widthPx) return 0
                return input.get((row * size.widthPx + column) * 3 + channel).toInt() and 0xFF
            }
            for (i in 0 until output.capacity()) {
                val (row, column, channel) =
                    listOf(
                        i / 3 / (scale * size.widthPx),
                        i / 3 % (scale * size.widthPx),
                        i % 3,
                    )
                val (y, x) = row / scale to column / scale
                val own = level(y, x, channel)
                val around =
                    level(y - 1, x, channel) + level(y + 1, x, channel) + level(y, x - 1, channel) +
                        level(y, x + 1, channel)
                val share = 1 + (row % scale * scale + column % scale + channel) % 3
                output.put(i, (own + ((4 * own - around) * share shr 4) + channel - 1).coerceIn(0, 255).toByte())
            }
        }

        override fun close() = Unit
    }

    private class Outcome(
        val picture: ArgbImage,
        val runs: Int,
        val progress: List<Pair<Int, Int>>,
    )

    private fun upscaled(
        vector: Json.Object,
        picture: ArgbImage = vector.picture,
    ): Outcome {
        val (scale, halo, grid) = listOf("scale", "halo", "grid").map { vector.int(it) }
        val entry = DepthEntry(1, "", null, halo, "", 1, emptyList(), if (grid > 1) TileGrid(grid, halo) else null)
        val model = Sharpener(scale)
        val output = ArgbImage(picture.size.times(scale))
        val told = ArrayList<Pair<Int, Int>>()
        val tiles = TiledUpscaling(model, scale, entry, null, null)
        PictureUpscaling(tiles).run(picture, output, vector.int("tile"), { done, total -> told += done to total })
        return Outcome(output, model.runs, told)
    }

    @Test
    fun whatTheNetworkSeesIsTheReferences() {
        var filled = 0
        for (vector in vectors) {
            val picture = vector.picture
            val opacities = picture.pixels.map { it ushr 24 }
            if (opacities.all { it == 0 } || opacities.none { it == 0 }) continue
            val seen = vector.bytes("seen")
            val size = picture.size
            // In blocks that cut the pyramid anywhere, and by windows of part of the width.
            for ((blockRows, width) in listOf(64 to size.widthPx, 5 to size.widthPx, 16 to 10, 1 to 3)) {
                val source = HiddenColours(picture, blockRows)
                val found = RgbImage(size)
                for (left in 0 until size.widthPx step width) {
                    val count = minOf(width, size.widthPx - left)
                    for (row in 0 until size.heightPx) {
                        val line = ByteBuffer.allocate(count * 3)
                        source.read(row, left, count, line)
                        line.flip()
                        found.write(row, left, line)
                    }
                }
                assertArrayEquals("${vector.why}, $size, blocks of $blockRows x $width", seen, found.toByteArray())
            }
            filled++
        }
        assertTrue("only $filled", filled >= 30)
    }

    @Test
    fun everyPictureIsTheReferences() {
        var compared = 0
        for (vector in vectors) {
            if (vector["upscaled"] == null) continue
            val where = "${vector.why}, ${vector.picture.size}, x${vector.int("scale")}, grid ${vector.int("grid")}"
            assertArrayEquals(where, ints(vector.bytes("upscaled")), upscaled(vector).picture.pixels)
            compared++
        }
        println("pictures: $compared, 0 disagreements")
        assertTrue("only $compared", compared >= 50)
    }

    @Test
    fun alphaTakesTheNetworkOnlyWhereItIsNotFlat() {
        val vector = vectors.first { it["upscaled"] != null && it.int("grid") == 1 && it.int("scale") == 2 }
        val size = Size(21, 60)

        fun picture(alpha: (Int) -> Int) =
            ArgbImage(size, IntArray(21 * 60) { (alpha(it % 60) shl 24) or (it * 7 and 0xFFFFFF) })
        val opaque = upscaled(vector, picture { 255 })
        val veiled = upscaled(vector, picture { 128 })
        val edge = upscaled(vector, picture { if (it < 30) 255 else 10 })
        val tiles = opaque.runs
        assertTrue("$tiles", tiles > 12)
        assertEquals(tiles, veiled.runs)
        assertTrue(veiled.picture.pixels.all { it ushr 24 == 128 })
        assertTrue("${edge.runs} of $tiles", edge.runs > tiles && edge.runs < 2 * tiles)
        assertEquals(List(tiles) { it + 1 to tiles }, opaque.progress)
        assertEquals(List(2 * tiles) { it + 1 to 2 * tiles }, edge.progress)
    }

    @Test
    fun theUpscalerTreatsIntsAsAPictureAndBytesAsTheyAre() =
        inTemporaryFolder { folder ->
            val bundle = QsrBundle.open(TestBundle.write(folder))
            QsrUpscaler(bundle, TestBackend(), UpscalerOptions(depth = 3, tilePx = 9)).use { upscaler ->
                val size = Size(20, 23)
                val grey =
                    ArgbImage(
                        size,
                        IntArray(20 * 23) {
                            (it * 31 % 256 * 0x010101) or
                                (if (it % 23 < 9) 0 else 255 shl 24)
                        },
                    )
                val large = upscaler.upscale(grey)
                assertTrue(large.pixels.all { it and 0xFF == it shr 8 and 0xFF && it and 0xFF == it shr 16 and 0xFF })
                assertEquals(setOf(0, 255), setOf(large.pixels.first() ushr 24, large.pixels.last() ushr 24))
                val plain = ArgbImage(upscaler.outputSize(size))
                upscaler.upscale(grey, plain)
                assertFalse(plain.pixels.all { it and 0xFF == it shr 8 and 0xFF })
                assertNotEquals(0, plain.pixels.first() ushr 24)
                assertThrows(PixelException::class.java) { upscaler.upscalePicture(grey, ArgbImage(size)) }
                val cancel = CancelSignal()
                assertThrows(CancelledException::class.java) {
                    upscaler.upscalePicture(grey, plain, cancel) { done, total ->
                        if (2 * done >
                            total
                        ) {
                            cancel.cancel()
                        }
                    }
                }
            }
        }
}
