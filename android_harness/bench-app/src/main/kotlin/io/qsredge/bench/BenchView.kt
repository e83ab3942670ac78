package io.qsredge.bench

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Rect
import android.view.View
import io.qsredge.bench.core.RawPicture
import io.qsredge.core.ArgbImage

/** The screen: state, depth and heat as text, the last latencies as a chart, a picture before and after. */
internal class BenchView(
    context: Context,
) : View(context) {
    private val paint = Paint().apply { setTextSize(TEXT_PX) }
    private var shown: RawPicture? = null
    private var pictures: List<Bitmap> = emptyList()

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val state = host.screen.state()
        canvas.translate(0f, paddingTop + LINE_PX)
        for ((i, line) in state.lines.withIndex()) canvas.drawText(line, TEXT_PX, (i + 1) * LINE_PX, paint)
        canvas.translate(0f, 6 * LINE_PX)
        canvas.drawLines(state.chartLines(width, height / 4), paint)
        canvas.translate(0f, height / 4 + LINE_PX)
        if (state.after != shown) {
            shown = state.after
            pictures = listOfNotNull(state.before, state.after).mapNotNull { it.read() }.map(::bitmapOf)
        }
        for ((i, picture) in pictures.withIndex()) {
            val place = Rect(i * width / 2, 0, (i + 1) * width / 2, width / 2 * picture.height / picture.width)
            canvas.drawBitmap(picture, null, place, paint)
        }
        postInvalidateDelayed(500) // ms
    }

    private fun bitmapOf(image: ArgbImage): Bitmap =
        Bitmap.createBitmap(image.pixels, image.size.widthPx, image.size.heightPx, Bitmap.Config.ARGB_8888)
}

private const val TEXT_PX = 36f
private const val LINE_PX = 48f
