package io.qsredge.bench.core

import io.qsredge.core.ArgbImage
import io.qsredge.core.Size
import java.io.File
import java.nio.ByteBuffer

/** Raw RGB in a file. */
data class RawPicture(
    val file: File,
    val size: Size,
) {
    /** Its pixels as ints; null if the file is gone, is of another size, or too large for a screen. */
    fun read(): ArgbImage? {
        // Android ends an app that draws a bitmap of more than 100 MB, or that has no memory left.
        if (size.heightPx.toLong() * size.widthPx > MAX_PIXELS) return null
        val bytes = file.runCatching { readBytes() }.getOrNull() ?: return null
        if (bytes.size.toLong() != 3L * size.heightPx * size.widthPx) return null
        val image = ArgbImage(size)
        val rgb = ByteBuffer.wrap(bytes)
        for (row in 0 until size.heightPx) {
            rgb.limit((row + 1) * size.widthPx * 3)
            image.write(row, 0, rgb)
        }
        return image
    }

    private companion object {
        const val MAX_PIXELS = 12_000_000L
    }
}

/**
 * What a screen shows.
 *
 * @property lines of text, from the top.
 * @property chartMs the last latencies in milliseconds, the oldest first.
 * @property before a picture, and
 * @property after what the network made of it; null until there is one.
 */
data class ScreenState(
    val lines: List<String>,
    val chartMs: List<Float>,
    val before: RawPicture?,
    val after: RawPicture?,
) {
    /**
     * The chart as lines that join the latencies: x, y, x, y of one line after another, as `Canvas.drawLines` takes them.
     * The bottom is 0 ms.
     */
    fun chartLines(
        widthPx: Int,
        heightPx: Int,
    ): FloatArray {
        val top = chartMs.maxOrNull() ?: return FloatArray(0)
        val step = widthPx.toFloat() / (chartMs.size - 1).coerceAtLeast(1)
        val points = chartMs.mapIndexed { i, ms -> i * step to heightPx * (1 - ms / top.coerceAtLeast(MIN_MS)) }
        return points.zipWithNext().flatMap { (a, b) -> listOf(a.first, a.second, b.first, b.second) }.toFloatArray()
    }

    private companion object {
        const val MIN_MS = 0.001f
    }
}

/** Follows the records of a part for a screen; for any number of threads. */
class BenchScreen : RecordListener {
    private var job: Job? = null
    private var status = "no job yet: qsr-edge bench starts one"
    private var variant: String? = null
    private var condition: Map<*, *> = emptyMap<String, Any>()
    private val chart = ArrayDeque<Float>()
    private var queries = 0L
    private var before: RawPicture? = null
    private var after: RawPicture? = null

    /** Tell what is measured. */
    @Synchronized
    fun onJob(job: Job) {
        this.job = job
        status = "starting"
    }

    /** Tell how the part ended. */
    @Synchronized
    fun onOutcome(outcome: Outcome) {
        status = outcome.summary
    }

    @Synchronized
    override fun onRecord(
        kind: String,
        values: Map<String, Any?>,
    ) {
        (values["variant"] as? String)?.let { label ->
            if (label != variant) chart.clear()
            variant = label
        }
        when (kind) {
            "waiting" -> status = "waiting: ${values["reason"]}"
            "condition" -> condition = values["condition"] as Map<*, *>
            "start" -> status = if (values["golden_equal"] == false) "WRONG BYTES" else "started"
            "warm-up", "steady", "sustained" -> latencies(kind, values["latencies_us"] as LongArray)
            "image" -> picture(values)
            "error" -> status = "error: ${values["message"]}"
        }
    }

    private fun latencies(
        kind: String,
        us: LongArray,
    ) {
        status = kind
        if (kind == "steady") queries += us.size
        for (one in us) {
            if (chart.size == CHART) chart.removeFirst()
            chart.addLast(one / 1000f)
        }
    }

    private fun picture(values: Map<String, Any?>) {
        val job = job ?: return
        val image = job.images.firstOrNull { it.name == values["image"] } ?: return
        val output = File(job.outputs, values["output"] as String)
        // Every channel of every pixel is a byte; the scale is what the sizes tell.
        val scale = Math.round(Math.sqrt(output.length() / (3.0 * image.size.heightPx * image.size.widthPx))).toInt()
        before = RawPicture(File(image.path), image.size)
        after = RawPicture(output, Size(image.size.heightPx * scale, image.size.widthPx * scale))
    }

    /** What to show now. */
    @Synchronized
    fun state(): ScreenState {
        val lines = arrayListOf(status)
        job?.variants?.firstOrNull { it.label == variant }?.let {
            lines +=
                "${it.label}: depth ${it.depth}, ${it.kernels}, ${it.threads} threads, ${it.size.widthPx}x${it.size.heightPx}"
        }
        if (chart.isNotEmpty()) {
            val median = chart.sorted()[(chart.size - 1) / 2]
            lines +=
                "median %.2f ms of the last %d, %d steady queries".format(
                    java.util.Locale.ROOT,
                    median,
                    chart.size,
                    queries,
                )
        }
        val heat =
            listOfNotNull(
                (condition["battery_temperature_mc"] as? Int)?.let { "battery ${degrees(it)} °C" },
                (condition["temperature_mc"] as? Int)?.let { "hottest zone ${degrees(it)} °C" },
                condition["thermal_status"]?.let { "thermal status $it" },
                condition["battery_percent"]?.let { "$it %" },
            )
        if (heat.isNotEmpty()) lines += heat.joinToString(", ")
        return ScreenState(lines, chart.toList(), before, after)
    }

    private companion object {
        const val CHART = 300
    }
}
