package io.qsredge.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Told after each tile how many are done, and how many there are. */
public fun interface Progress {
    /** Called on the thread that upscales; keep it short. */
    public fun onTile(
        done: Int,
        total: Int,
    )
}

/** Ends an upscaling between two tiles; from any thread. */
public class CancelSignal {
    @Volatile
    private var cancelled = false

    /** Whether [cancel] was called. */
    public val isCancelled: Boolean get() = cancelled

    /** The upscaling that was given this throws a [CancelledException] as soon as its present tile is done. */
    public fun cancel() {
        cancelled = true
    }
}

/**
 * Upscales images of any size in windows of bounded size, by one model; every byte is that of the whole image run at once.
 * Keeps the windows' buffers, 3 bytes a pixel of a window and 3 scale^2 of its output. For one thread at a time.
 *
 * @param entry of the model's depth.
 * @param window the one size that the model takes; null for any.
 * @param largestSidePx the longest side of a window that the runtime takes; null for any.
 */
@InternalQsrApi
public class TiledUpscaling(
    private val model: LoadedModel,
    internal val scale: Int,
    entry: DepthEntry,
    private val window: Size?,
    private val largestSidePx: Int?,
) {
    private val haloPx = entry.grid?.haloPx ?: entry.haloPx
    internal val gridPx = entry.grid?.stepPx ?: 1
    private var size = Size(0, 0)
    private var input: ByteBuffer = ByteBuffer.allocate(0)
    private var output: ByteBuffer = input

    /** Size of the last image; null before the first. May be asked for on any thread. */
    @Volatile
    public var imageSize: Size? = null
        private set

    /**
     * Upscale.
     *
     * @param tilePx longest distance from one tile's start to the next one's; not used if the model takes one size only.
     * @param settled asked before every tile; the network does not run, and nothing is written, where it says yes.
     * @param check called before every tile; what it throws ends the work.
     * @throws TileException if the image cannot be covered.
     * @throws BackendException if the runtime fails.
     */
    public fun run(
        source: PixelSource,
        sink: PixelSink,
        tilePx: Int,
        progress: Progress? = null,
        settled: (Tile) -> Boolean = { false },
        check: () -> Unit = {},
    ) {
        val image = source.size
        checkSize(image)
        val windows = windowsOf(image, tilePx)
        val tiles = TilePlanner.tiles(image, windows, haloPx, gridPx)
        prepare(windows)
        imageSize = image
        for ((done, tile) in tiles.withIndex()) {
            check()
            if (!settled(tile)) {
                read(tile, source)
                runWindow()
                write(tile, sink)
            }
            progress?.onTile(done + 1, tiles.size)
        }
    }

    private fun read(
        tile: Tile,
        source: PixelSource,
    ) {
        val image = source.size
        val columns = tile.columns
        val stop = minOf(columns.windowStop, image.widthPx)
        input.clear()
        for (row in tile.rows.windowStart until tile.rows.windowStop) {
            val inside = TilePlanner.reflected(row, image.heightPx)
            source.read(inside, columns.windowStart, stop - columns.windowStart, input)
            for (column in stop until columns.windowStop) {
                source.read(inside, TilePlanner.reflected(column, image.widthPx), 1, input)
            }
        }
    }

    /** Run a window of zeros as an image of that size has it, so that the runtime has planned its memory when one comes. */
    public fun warmUp(
        image: Size,
        tilePx: Int,
    ) {
        prepare(windowsOf(image, tilePx))
        runWindow()
    }

    private fun windowsOf(
        image: Size,
        tilePx: Int,
    ): Size {
        val largest = (largestSidePx ?: Int.MAX_VALUE).let { it - it % gridPx }
        val step = minOf(tilePx, largest - 2 * haloPx)
        return window ?: Size(
            TilePlanner.windowSize(image.heightPx, step, haloPx, gridPx),
            TilePlanner.windowSize(image.widthPx, step, haloPx, gridPx),
        )
    }

    private fun prepare(windows: Size) {
        if (windows == size) return
        val bytes = byteCount(windows)
        byteCount(windows.times(scale))
        // Direct and of exactly their size, as the runtimes want them.
        val newInput = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
        // If there is no memory for both, those that fit each other stay.
        output = ByteBuffer.allocateDirect(bytes * scale * scale).order(ByteOrder.nativeOrder())
        input = newInput
        size = windows
    }

    private fun runWindow() {
        input.clear()
        output.clear()
        model.run(size, input, output)
        output.clear()
    }

    private fun write(
        tile: Tile,
        sink: PixelSink,
    ) {
        val left = tile.columns.coreStart * scale
        val bytes = (tile.columns.coreStop - tile.columns.coreStart) * scale * CHANNELS
        val inWindow = left - tile.columns.windowStart * scale
        for (row in tile.rows.coreStart * scale until tile.rows.coreStop * scale) {
            val start = ((row - tile.rows.windowStart * scale) * size.widthPx * scale + inWindow) * CHANNELS
            output.limit(start + bytes)
            output.position(start)
            sink.write(row, left, output)
        }
    }
}

internal fun Size.times(scale: Int): Size {
    if (maxOf(heightPx, widthPx).toLong() * scale >
        Int.MAX_VALUE
    ) {
        throw PixelException("$this times $scale is too large")
    }
    return Size(heightPx * scale, widthPx * scale)
}
