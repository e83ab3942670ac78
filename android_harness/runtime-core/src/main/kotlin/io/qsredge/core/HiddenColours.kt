package io.qsredge.core

import java.nio.ByteBuffer

/**
 * A picture's colours as the network is to see them: under fully transparent pixels stand visible colours from nearby
 * instead of those that the file happens to keep there. No visible pixel is changed.
 *
 * The bytes are those of `bled_colours` of the Python package: holes are filled from a pyramid of averages, by the finest
 * level that has a visible pixel there, and smoothed by two rounds of averaging with the four neighbours, level by level.
 * The coarse levels are held, up to half a byte for each pixel of the picture while they are filled; the fine ones are
 * computed anew for each block that is read. For one thread at a time.
 *
 * @param picture with at least one visible pixel.
 * @param blockRows rows that are filled at once.
 */
internal class HiddenColours(
    private val picture: ArgbRows,
    private val blockRows: Int = BLOCK_ROWS,
) : PixelSource {
    override val size: Size get() = picture.size

    /** Sizes of the pyramid's levels, down to one pixel. */
    private val sizes = generateSequence(size) { if (it == Size(1, 1)) null else it.halved() }.toList()
    private val keptLevel = minOf(KEPT_LEVEL, sizes.lastIndex)
    private var line = IntArray(0)
    private val kept = filledWhole(keptLevel, measuredWhole(keptLevel))
    private var block = Region(Part(0, 0, 0, 0))
    private var part: Part = block

    override fun read(
        row: Int,
        column: Int,
        count: Int,
        into: ByteBuffer,
    ) {
        val inside = row in part.top until part.bottom && column >= part.left && column + count <= part.right
        if (!inside) {
            val top = row - row % blockRows
            part = Part(top, minOf(top + blockRows, size.heightPx), column, column + count)
            block = filled(0, part)
        }
        val start = block.at(row, column) * CHANNELS
        // To the nearest level, to the even one of two: the colour of a visible pixel is whole already.
        for (i in start until start + count * CHANNELS) {
            into.put(
                Math.rint(block.colours[i].toDouble()).toInt().toByte(),
            )
        }
    }

    /** A part of a level: rows from [top] to before [bottom], columns from [left] to before [right]. */
    private open class Part(
        val top: Int,
        val bottom: Int,
        val left: Int,
        val right: Int,
    ) {
        val width = right - left

        constructor(level: Size) : this(0, level.heightPx, 0, level.widthPx)

        fun at(
            row: Int,
            column: Int,
        ): Int = (row - top) * width + column - left

        /** So many pixels more on every side, within the level. */
        fun grown(
            by: Int,
            level: Size,
        ) = Part(
            maxOf(0, top - by),
            minOf(level.heightPx, bottom + by),
            maxOf(0, left - by),
            minOf(level.widthPx, right + by),
        )

        /** The pixels of the next finer level that make these. */
        fun finer(level: Size) =
            Part(2 * top, minOf(2 * bottom, level.heightPx), 2 * left, minOf(2 * right, level.widthPx))

        /** The pixels of the next coarser level that these make. */
        fun coarser() = Part(top / 2, (bottom + 1) / 2, left / 2, (right + 1) / 2)
    }

    /** The pixels of a part; black and without weight when it is made. */
    private class Region(
        part: Part,
    ) : Part(part.top, part.bottom, part.left, part.right) {
        /** 0 where no visible pixel is; the opacity in the picture itself, 1 in coarser levels. */
        val weights = FloatArray((bottom - top) * width)
        var colours = FloatArray(weights.size * CHANNELS)

        fun hasHoles(): Boolean = weights.any { it == 0f }
    }

    /** The averages of a part of a level, holes left open. */
    private fun measured(
        level: Int,
        part: Part,
    ): Region {
        val region = Region(part)
        if (level == 0) readPicture(region) else average(measured(level - 1, part.finer(sizes[level - 1])), region)
        return region
    }

    private fun readPicture(region: Region) {
        if (line.size < region.width) line = IntArray(region.width)
        for (row in region.top until region.bottom) {
            picture.pixels(row, region.left, region.width, line)
            val start = region.at(row, region.left)
            for (i in 0 until region.width) {
                region.weights[start + i] = (line[i] ushr 24).toFloat()
                for (c in 0 until CHANNELS) {
                    region.colours[(start + i) * CHANNELS + c] = (line[i] shr (16 - 8 * c) and 0xFF).toFloat()
                }
            }
        }
    }

    private fun average(
        fine: Region,
        coarse: Region,
    ) {
        // Two rows first, then two columns, as the reference: the order of a sum decides its last bit.
        val at = IntArray(4)
        for (row in coarse.top until coarse.bottom) {
            for (column in coarse.left until coarse.right) {
                for (i in at.indices) {
                    val (y, x) = FOUR[i]
                    val inside = 2 * row + y < fine.bottom && 2 * column + x < fine.right
                    at[i] = if (inside) fine.at(2 * row + y, 2 * column + x) else OUTSIDE
                }
                val sum = sumOf(at) { fine.weights[it] }
                if (sum == 0f) continue
                val into = coarse.at(row, column)
                coarse.weights[into] = 1f
                for (c in 0 until CHANNELS) {
                    val colour = sumOf(at) { fine.colours[it * CHANNELS + c] * fine.weights[it] }
                    coarse.colours[into * CHANNELS + c] = colour / sum
                }
            }
        }
    }

    private inline fun sumOf(
        at: IntArray,
        value: (Int) -> Float,
    ): Float {
        var sum = 0f
        for (i in at.indices step 2) {
            val upper = if (at[i] == OUTSIDE) 0f else value(at[i])
            sum += upper + (if (at[i + 1] == OUTSIDE) 0f else value(at[i + 1]))
        }
        return sum
    }

    /** All of a level, measured some rows at a time. */
    private fun measuredWhole(level: Int): Region {
        val all = Region(Part(sizes[level]))
        val rows = BLOCK_ROWS shr level
        for (top in 0 until all.bottom step rows) {
            val part = measured(level, Part(top, minOf(top + rows, all.bottom), 0, all.right))
            part.colours.copyInto(all.colours, all.at(top, 0) * CHANNELS)
            part.weights.copyInto(all.weights, all.at(top, 0))
        }
        return all
    }

    private fun filledWhole(
        level: Int,
        region: Region,
    ): Region {
        if (!region.hasHoles()) return region
        val coarse = Region(region.coarser()).also { average(region, it) }
        fill(level, region, filledWhole(level + 1, coarse), region)
        return region
    }

    /** A part of a level with its holes filled; what it holds around that may be unfinished. */
    private fun filled(
        level: Int,
        part: Part,
    ): Region {
        if (level == keptLevel) return kept
        val region = measured(level, part.grown(SMOOTHING_ROUNDS, sizes[level]))
        if (region.hasHoles()) fill(level, region, filled(level + 1, region.coarser()), part)
        return region
    }

    /** Fill [region]'s holes from the filled level below. Right within [wanted]; what is around it serves the smoothing. */
    private fun fill(
        level: Int,
        region: Region,
        coarse: Region,
        wanted: Part,
    ) {
        for (row in region.top until region.bottom) {
            for (column in region.left until region.right) {
                val at = region.at(row, column)
                if (region.weights[at] != 0f) continue
                val from = coarse.at(row / 2, column / 2) * CHANNELS
                coarse.colours.copyInto(region.colours, at * CHANNELS, from, from + CHANNELS)
            }
        }
        for (round in 1..SMOOTHING_ROUNDS) {
            smooth(
                region,
                wanted.grown(SMOOTHING_ROUNDS - round, sizes[level]),
                sizes[level],
            )
        }
    }

    private fun smooth(
        region: Region,
        part: Part,
        within: Size,
    ) {
        val old = region.colours
        val new = old.copyOf()
        for (row in part.top until part.bottom) {
            for (column in part.left until part.right) {
                val at = region.at(row, column)
                if (region.weights[at] != 0f) continue
                val above = region.at(maxOf(row - 1, 0), column) * CHANNELS
                val below = region.at(minOf(row + 1, within.heightPx - 1), column) * CHANNELS
                val left = region.at(row, maxOf(column - 1, 0)) * CHANNELS
                val right = region.at(row, minOf(column + 1, within.widthPx - 1)) * CHANNELS
                for (c in 0 until CHANNELS) {
                    new[at * CHANNELS + c] = (old[above + c] + old[below + c] + old[left + c] + old[right + c]) / 4
                }
            }
        }
        region.colours = new
    }

    private fun Size.halved() = Size((heightPx + 1) / 2, (widthPx + 1) / 2)

    private companion object {
        const val BLOCK_ROWS = 64
        const val SMOOTHING_ROUNDS = 2
        const val OUTSIDE = -1

        /** Rows and columns of four pixels that make one, in pairs of a column. */
        val FOUR = listOf(0 to 0, 1 to 0, 0 to 1, 1 to 1)

        /** The finest level that is kept whole: a 64th of the picture's pixels. */
        const val KEPT_LEVEL = 3
    }
}
