package io.qsredge.core

import java.nio.ByteBuffer
import kotlin.math.abs
import kotlin.math.floor

/** BT.601 luma of full-range RGB, 0.299 R + 0.587 G + 0.114 B, to the nearest level; equal channels stay what they are. */
internal fun luma(
    red: Int,
    green: Int,
    blue: Int,
): Int = (19_595 * red + 38_470 * green + 7_471 * blue + (1 shl 15)) shr 16

/**
 * The opacity of a picture on its way through the network: read as a grey picture, written as the alpha of an output that
 * has its colours already. Where the network differs from bicubic interpolation by no more than its own noise, and where
 * opacity is flat, it is interpolated: opaque stays opaque. The bytes are those of `qsr_edge/runtime/windows.py`.
 *
 * Holds one tile's opacity. For one thread at a time, one tile after the other: [settle], then, if that does not, [write].
 *
 * @param source the picture.
 * @param sink scale times as large; opaque.
 * @param gridPx of the network: it continues a picture to the next multiple, and so does the interpolation.
 */
internal class OpacityPass(
    private val source: ArgbRows,
    private val sink: ArgbRows,
    private val scale: Int,
    gridPx: Int,
) : PixelSource,
    PixelSink {
    override val size: Size get() = source.size
    private val rows = Axis(size.heightPx, gridPx)
    private val columns = Axis(size.widthPx, gridPx)
    private val kernel = List(scale, ::keysWeights)
    private var line = IntArray(0)

    /** Opacity of the tile's core and [MARGIN_PX] pixels around it; its first row and column, and its width. */
    private var plane = IntArray(0)
    private var top = 0
    private var left = 0
    private var width = 0

    override fun read(
        row: Int,
        column: Int,
        count: Int,
        into: ByteBuffer,
    ) {
        val pixels = line(count)
        source.pixels(row, column, count, pixels)
        for (i in 0 until count) {
            val opacity = (pixels[i] ushr 24).toByte()
            into.put(opacity).put(opacity).put(opacity)
        }
    }

    /** Look at the tile that comes; whether it is flat and therefore written, and the network need not run. */
    fun settle(tile: Tile): Boolean {
        load(tile)
        val level = plane[0]
        if (plane.any { it != level }) return false
        val count = (tile.columns.coreStop - tile.columns.coreStart) * scale
        for (row in tile.rows.coreStart * scale until tile.rows.coreStop * scale) {
            put(row, tile.columns.coreStart * scale, count) { level }
        }
        return true
    }

    private fun load(tile: Tile) {
        top = tile.rows.coreStart - MARGIN_PX
        left = tile.columns.coreStart - MARGIN_PX
        width = tile.columns.coreStop + MARGIN_PX - left
        val height = tile.rows.coreStop + MARGIN_PX - top
        if (plane.size != height * width) plane = IntArray(height * width)
        val places = IntArray(width) { columns.place(left + it) }
        val first = places.min()
        val count = places.max() + 1 - first
        val pixels = line(count)
        for (row in 0 until height) {
            source.pixels(rows.place(top + row), first, count, pixels)
            for (column in 0 until width) plane[row * width + column] = pixels[places[column] - first] ushr 24
        }
    }

    override fun write(
        row: Int,
        column: Int,
        rgb: ByteBuffer,
    ) {
        val tall = IntArray(width)
        val start = (row / scale - top - MARGIN_PX) * width
        val down = kernel[row % scale]
        for (i in 0 until width) {
            var sum = 0.0
            for (tap in down.indices) sum += down[tap] * plane[start + tap * width + i]
            tall[i] = level(sum)
        }
        val flat = BooleanArray(width - 2 * MARGIN_PX) { isFlat(start + it) }
        put(row, column, rgb.remaining() / CHANNELS) { i ->
            val made = luma(rgb.get().toInt() and 0xFF, rgb.get().toInt() and 0xFF, rgb.get().toInt() and 0xFF)
            val inner = (column + i) / scale - left - MARGIN_PX
            val across = kernel[(column + i) % scale]
            var sum = 0.0
            for (tap in across.indices) sum += across[tap] * tall[inner + tap]
            val interpolated = level(sum)
            if (flat[inner]) interpolated else corrected(interpolated, made)
        }
    }

    private fun isFlat(corner: Int): Boolean {
        val level = plane[corner]
        for (row in 0..2 * MARGIN_PX) {
            for (column in 0..2 * MARGIN_PX) if (plane[corner + row * width + column] != level) return false
        }
        return true
    }

    private fun put(
        row: Int,
        column: Int,
        count: Int,
        opacity: (Int) -> Int,
    ) {
        val pixels = line(count)
        sink.pixels(row, column, count, pixels)
        for (i in 0 until count) pixels[i] = (pixels[i] and 0xFFFFFF) or (opacity(i) shl 24)
        sink.setPixels(row, column, count, pixels)
    }

    private fun line(count: Int): IntArray {
        if (line.size < count) line = IntArray(count)
        return line
    }

    /** What stands at a position beyond an axis: first mirrored at the completed axis' edge, then reflected to the picture. */
    private class Axis(
        private val sizePx: Int,
        gridPx: Int,
    ) {
        private val completedPx = (sizePx + gridPx - 1) / gridPx * gridPx

        fun place(positionPx: Int): Int {
            val mirrored = Math.floorMod(positionPx, 2 * completedPx).let { minOf(it, 2 * completedPx - 1 - it) }
            return TilePlanner.reflected(mirrored, sizePx)
        }
    }

    /** Weights of the pixels from two before to two behind, for one of the pixels that come of one along an axis. */
    private fun keysWeights(phase: Int): DoubleArray {
        val centre = (phase + 0.5) / scale - 0.5
        val weights = DoubleArray(2 * MARGIN_PX + 1) { keysCubic(abs(centre - (it - MARGIN_PX))) }
        val sum = weights.sum()
        return DoubleArray(weights.size) { weights[it] / sum }
    }

    /** Keys' cubic convolution with a = -0.5 (R. Keys, 1981). */
    private fun keysCubic(x: Double): Double =
        when {
            x <= 1 -> 1.5 * x * x * x - 2.5 * x * x + 1
            x <= 2 -> -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2
            else -> 0.0
        }

    /** Half up, as the reference; the sum may land a few ulp below a half that is exact in real arithmetic. */
    private fun level(sum: Double): Int = floor(sum + 0.5 + 1e-9).toInt().coerceIn(0, 0xFF)

    private fun corrected(
        interpolated: Int,
        made: Int,
    ): Int {
        val difference = (made - interpolated).toFloat()
        val share = ((abs(difference) - NOISE_LEVELS) / (SIGNAL_LEVELS - NOISE_LEVELS)).coerceIn(0f, 1f)
        return Math.rint((difference * share + interpolated).toDouble()).toInt().coerceIn(0, 0xFF)
    }

    private companion object {
        /** Reach of the interpolation's kernel: what is flat so far around stays flat. */
        const val MARGIN_PX = 2

        /** Differences up to the first are the network's noise, from the second on they count in full. */
        const val NOISE_LEVELS = 1.5f
        const val SIGNAL_LEVELS = 3f
    }
}
