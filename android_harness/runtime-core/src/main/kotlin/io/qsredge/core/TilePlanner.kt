package io.qsredge.core

/**
 * One tile along one axis, in input pixels; half-open intervals.
 *
 * @property windowStart first pixel that the network reads.
 * @property windowStop one past the last.
 * @property coreStart first pixel that is kept of its output, times the scale.
 * @property coreStop one past the last.
 */
public data class Span(
    val windowStart: Int,
    val windowStop: Int,
    val coreStart: Int,
    val coreStop: Int,
)

/** One tile: its span along rows and along columns. */
public data class Tile(
    val rows: Span,
    val columns: Span,
)

/**
 * Plans tiles whose seams do not exist: every byte equals that of the whole image run at once. A window that has the
 * image's border for its own gets the network's own zero padding there; any other edge lies a halo away from the core.
 */
public object TilePlanner {
    /**
     * The smallest window for as many tiles as cores of [tilePx] take.
     *
     * @param sizePx length of the axis, at least 1.
     * @param tilePx longest distance from one core's start to the next one's, at least 1.
     * @param haloPx receptive-field radius, at least 0.
     * @throws TileException if an argument is out of its range.
     */
    public fun windowSize(
        sizePx: Int,
        tilePx: Int,
        haloPx: Int,
    ): Int {
        if (sizePx < 1 || tilePx < 1 ||
            haloPx < 0
        ) {
            throw TileException("cannot tile $sizePx px into $tilePx px with a halo of $haloPx px")
        }
        val stepped = sizePx - 2 * haloPx
        if (stepped <= tilePx) return sizePx
        val count = ceilDiv(stepped.toLong(), tilePx.toLong())
        return ceilDiv(stepped.toLong(), count).toInt() + 2 * haloPx
    }

    /**
     * Cover an axis by spans whose cores partition it and whose windows are all of one size.
     *
     * @throws TileException if the axis is shorter than a window, or a window has no room for a core between two halos.
     */
    public fun spans(
        sizePx: Int,
        windowPx: Int,
        haloPx: Int,
    ): List<Span> {
        if (sizePx == windowPx) return listOf(Span(0, sizePx, 0, sizePx))
        val step = windowPx - 2 * haloPx
        if (sizePx < windowPx || step < 1 || haloPx < 0) {
            throw TileException("cannot cover $sizePx px by windows of $windowPx px and a halo of $haloPx px")
        }
        val count = ceilDiv((sizePx - 2 * haloPx).toLong(), step.toLong()).toInt()
        var done = 0
        return List(count) { index ->
            val start = minOf(index * step, sizePx - windowPx)
            val stop = start + windowPx
            val coreStop = if (index == count - 1) sizePx else stop - haloPx
            Span(start, stop, done, coreStop).also { done = coreStop }
        }
    }

    /** All tiles of an image, row by row; errors as [spans]. */
    public fun tiles(
        size: Size,
        window: Size,
        haloPx: Int,
    ): List<Tile> {
        val columns = spans(size.widthPx, window.widthPx, haloPx)
        return spans(size.heightPx, window.heightPx, haloPx).flatMap { row -> columns.map { Tile(row, it) } }
    }
}
