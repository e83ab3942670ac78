package io.qsredge.core

/**
 * One tile along one axis, in input pixels; half-open intervals.
 *
 * @property windowStart first pixel that the network reads.
 * @property windowStop one past the last; beyond the image it is continued by reflection.
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
 * On a grid windows begin and end at multiples of it, the last one beyond an image that the grid does not divide.
 */
public object TilePlanner {
    /**
     * The smallest window for as many tiles as cores of [tilePx] take.
     *
     * @param sizePx length of the axis, at least 1.
     * @param tilePx longest distance from one core's start to the next one's, at least 1.
     * @param haloPx receptive-field radius, at least 0.
     * @param gridPx windows begin and end at multiples of it.
     * @throws TileException if an argument is out of its range.
     */
    public fun windowSize(
        sizePx: Int,
        tilePx: Int,
        haloPx: Int,
        gridPx: Int = 1,
    ): Int {
        if (sizePx < 1 || tilePx < 1 ||
            haloPx < 0
        ) {
            throw TileException("cannot tile $sizePx px into $tilePx px with a halo of $haloPx px")
        }
        val completed = completed(sizePx, gridPx)
        val stepped = completed - 2 * haloPx
        if (stepped <= tilePx) return completed
        val count = ceilDiv(stepped.toLong(), tilePx.toLong())
        return completed(ceilDiv(stepped.toLong(), count).toInt() + 2 * haloPx, gridPx)
    }

    /**
     * Cover an axis by spans whose cores partition it and whose windows are all of one size.
     *
     * @throws TileException if the axis is shorter than a window, or a window has no room for a core between two halos;
     *   or if window and halo do not fit the grid.
     */
    public fun spans(
        sizePx: Int,
        windowPx: Int,
        haloPx: Int,
        gridPx: Int = 1,
    ): List<Span> {
        val completed = completed(sizePx, gridPx)
        if (completed == windowPx) return listOf(Span(0, windowPx, 0, sizePx))
        val step = windowPx - 2 * haloPx
        if (completed < windowPx || step < 1 || haloPx < 0 || windowPx % gridPx != 0 || step % gridPx != 0) {
            throw TileException(
                "cannot cover $sizePx px by windows of $windowPx px and a halo of $haloPx px; " +
                    "convert with another --input-size, or choose a shallower depth",
            )
        }
        val count = ceilDiv((completed - 2 * haloPx).toLong(), step.toLong()).toInt()
        var done = 0
        return List(count) { index ->
            val start = minOf(index * step, completed - windowPx)
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
        gridPx: Int = 1,
    ): List<Tile> {
        val columns = spans(size.widthPx, window.widthPx, haloPx, gridPx)
        return spans(size.heightPx, window.heightPx, haloPx, gridPx).flatMap { row -> columns.map { Tile(row, it) } }
    }

    /** The pixel of an axis that stands at [positionPx], on or beyond it, when it is continued by reflection at its last. */
    internal fun reflected(
        positionPx: Int,
        sizePx: Int,
    ): Int {
        if (sizePx == 1) return 0
        val period = 2 * (sizePx - 1)
        return (positionPx % period).let { minOf(it, period - it) }
    }

    private fun completed(
        sizePx: Int,
        gridPx: Int,
    ): Int = ceilDiv(sizePx.toLong(), gridPx.toLong()).toInt() * gridPx
}
