package io.qsredge.core

import java.nio.ByteBuffer

/**
 * Upscales a picture as the Python package's `upscale_picture` does, byte for byte: colours under transparent pixels are
 * replaced by visible ones nearby, opacity goes through the network, and R = G = B stays so.
 *
 * @param tiles of the network.
 */
internal class PictureUpscaling(
    private val tiles: TiledUpscaling,
) {
    /**
     * Upscale; parameters and errors as [TiledUpscaling.run]. Progress counts the tiles of opacity too, if there are any.
     *
     * @param sink of the size of the output; is opaque until its colours are complete.
     * @return nanoseconds that the colours took, without those of the opacity.
     */
    fun run(
        source: ArgbRows,
        sink: ArgbRows,
        tilePx: Int,
        progress: Progress? = null,
        check: () -> Unit = {},
    ): Long {
        val start = System.nanoTime()
        val survey = Survey.of(source)
        val colours = if (survey.hasHoles) HiddenColours(source) else source
        val passes = if (survey.opaque) 1 else 2
        tiles.run(
            colours,
            if (survey.grey) GreySink(sink) else sink,
            tilePx,
            { done, total -> progress?.onTile(done, passes * total) },
            check = check,
        )
        val took = System.nanoTime() - start
        if (!survey.opaque) {
            val opacity = OpacityPass(source, sink, tiles.scale, tiles.gridPx)
            val told = Progress { done, total -> progress?.onTile(total + done, passes * total) }
            tiles.run(opacity, opacity, tilePx, told, opacity::settle, check)
        }
        return took
    }

    /**
     * What is to be known of a picture before.
     *
     * @property opaque whether every pixel is.
     * @property hasHoles whether some pixels are fully transparent, and some are not.
     * @property grey whether R = G = B in every pixel that can be seen; in every pixel if none can.
     */
    private class Survey(
        val opaque: Boolean,
        val hasHoles: Boolean,
        val grey: Boolean,
    ) {
        companion object {
            fun of(picture: ArgbRows): Survey {
                val line = IntArray(picture.size.widthPx)
                var opaque = true
                var visible = false
                var hidden = false
                var visibleGrey = true
                var hiddenGrey = true
                for (row in 0 until picture.size.heightPx) {
                    picture.pixels(row, 0, line.size, line)
                    for (pixel in line) {
                        val grey = (pixel xor (pixel ushr 8)) and 0xFFFF == 0
                        when (pixel ushr 24) {
                            0 -> {
                                hidden = true
                                hiddenGrey = hiddenGrey && grey
                            }

                            else -> {
                                visible = true
                                visibleGrey = visibleGrey && grey
                            }
                        }
                        opaque = opaque && pixel ushr 24 == 0xFF
                    }
                }
                return Survey(opaque, hidden && visible, if (visible) visibleGrey else hiddenGrey)
            }
        }
    }

    /** Gives all three channels the luma of what it takes: the network itself may differ by a few levels between them. */
    private class GreySink(
        private val sink: PixelSink,
    ) : PixelSink {
        private var line = ByteBuffer.allocate(0)

        override fun write(
            row: Int,
            column: Int,
            rgb: ByteBuffer,
        ) {
            if (line.capacity() < rgb.remaining()) line = ByteBuffer.allocate(rgb.remaining())
            line.clear()
            while (rgb.hasRemaining()) {
                val grey = luma(rgb.get().toInt() and 0xFF, rgb.get().toInt() and 0xFF, rgb.get().toInt() and 0xFF)
                line.put(grey.toByte()).put(grey.toByte()).put(grey.toByte())
            }
            line.flip()
            sink.write(row, column, line)
        }
    }
}
