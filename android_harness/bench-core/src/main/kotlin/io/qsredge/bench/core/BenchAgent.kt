package io.qsredge.bench.core

import io.qsredge.core.Backend
import io.qsredge.core.Golden
import io.qsredge.core.GoldenInput
import io.qsredge.core.LoadedModel
import io.qsredge.core.QsrBundle
import io.qsredge.core.QsrException
import io.qsredge.core.RgbImage
import io.qsredge.core.Size
import io.qsredge.core.TiledUpscaling
import io.qsredge.core.modelSpec
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** How a part ended; [message] says why it is not complete. */
data class Outcome(
    val complete: Boolean,
    val message: String?,
) {
    /** In a few words. */
    val summary: String get() = if (complete) "done" else "ended: $message"
}

/**
 * Measures a job as `docs/device-protocol.md` of qsr-edge tells: gate, start, steady rounds in turns, sustained runs; every
 * record is on disk before the next measurement. [run] is for one thread, [event] and [stop] for any.
 *
 * @param name of the agent and its version.
 * @param backends the runtimes that there are.
 * @param listener told of every record.
 * @param places where jobs may come from and results may go; null for anywhere.
 */
class BenchAgent(
    private val name: String,
    private val backends: List<Backend>,
    private val device: AgentDevice,
    private val listener: RecordListener? = null,
    private val places: JobPlaces? = null,
) {
    @Volatile
    private var results: ResultsFile? = null

    @Volatile
    private var stopReason: String? = null

    /**
     * Measure the job of a file.
     *
     * @param onJob told of the job once it is read.
     */
    fun run(
        jobFile: File,
        onJob: (Job) -> Unit = {},
    ): Outcome {
        places?.refusalOfJob(jobFile)?.let { return Outcome(false, it) }
        val content =
            try {
                jobFile.readBytes()
            } catch (error: IOException) {
                return Outcome(false, "$jobFile: cannot be read (${error.message}); push it again")
            }
        var job: Job? = null
        val problem =
            try {
                job = Job.parse(content)
                null
            } catch (error: JobException) {
                error.message
            }
        val path = job?.results ?: Job.resultsOf(content) ?: return Outcome(false, problem)
        places?.refusalOfResults(listOfNotNull(path, job?.outputs))?.let { return Outcome(false, it) }
        job?.let(onJob)
        return try {
            ResultsFile(File(path), device, listener).use { record(it, job, problem) }
        } catch (error: IOException) {
            Outcome(false, error.message)
        } finally {
            results = null
        }
    }

    /** Write an `event` record, if a part runs. One that cannot be written is lost: the part then ends by itself. */
    fun event(
        event: String,
        vararg values: Pair<String, Any?>,
    ) {
        try {
            results?.append("event", "event" to event, *values)
        } catch (_: IOException) {
            return
        }
    }

    /** End the part after the present inference; `end` gives the reason. */
    fun stop(reason: String) {
        stopReason = reason
    }

    private fun record(
        file: ResultsFile,
        job: Job?,
        problem: String?,
    ): Outcome {
        val message: String?
        if (job == null) {
            message = problem
            file.append("agent", "protocol" to Job.PROTOCOL, "agent" to name, "runtime" to runtimes())
            file.append("error", "message" to message)
        } else {
            file.append(
                "agent",
                "protocol" to Job.PROTOCOL,
                "run" to job.run,
                "part" to job.part,
                "agent" to name,
                "runtime" to runtimes(),
            )
            results = file
            message = measure(job, file)
            results = null
        }
        if (message == null) {
            file.append("end", "complete" to true)
        } else {
            file.append("end", "complete" to false, "reason" to message)
        }
        return Outcome(message == null, message)
    }

    private fun runtimes(): String =
        backends.joinToString {
            try {
                it.runtime
            } catch (error: LinkageError) {
                // Loading a model will tell it as an error, with a record.
                "${it.target} ($error)"
            }
        }

    /** Null if all went well, or why it did not. */
    private fun measure(
        job: Job,
        file: ResultsFile,
    ): String? {
        val measurement = Measurement(job, backends, device, file) { stopReason }
        try {
            measurement.use { it.run() }
            return null
        } catch (stopped: StoppedException) {
            return stopped.message
        } catch (error: Exception) {
            // A runtime's own exceptions end the part as ours do: what was measured is on disk.
            val known = error is QsrException || error is JobException || error is IOException
            val message = oneLine(if (known) "${error.message}" else "$error")
            val variant = measurement.variant?.let { arrayOf<Pair<String, Any?>>("variant" to it) }.orEmpty()
            file.append("error", "message" to message, *variant)
            return message
        } catch (error: OutOfMemoryError) {
            file.append(
                "error",
                "message" to "no memory left ($error); measure a smaller input or fewer variants at once",
            )
            return "no memory left"
        }
    }

    private fun oneLine(text: String): String = text.split(Regex("\\s+")).filter { it.isNotEmpty() }.joinToString(" ")
}

private class StoppedException(
    reason: String,
) : Exception(reason)

/** A variant that is loaded, its timed input and its model's buffers. */
private class Loaded(
    val variant: Variant,
    val bundle: QsrBundle,
    val model: LoadedModel,
    private val backend: Backend,
    private val device: AgentDevice,
) {
    var queries = variant.done.queries
    var steadyUs = variant.done.steadyUs
    private val input = direct(image(variant.size))
    private val output = direct(ByteArray(input.capacity() * bundle.manifest.scale * bundle.manifest.scale))

    private fun image(size: Size) = Golden.image(GoldenInput(bundle.manifest.golden.seed, size))

    private fun direct(content: ByteArray): ByteBuffer =
        ByteBuffer.allocateDirect(content.size).order(ByteOrder.nativeOrder()).apply { put(content) }

    /** Microseconds of one inference. */
    fun infer(): Long {
        input.clear()
        output.clear()
        val start = device.nanoTime()
        model.run(variant.size, input, output)
        return (device.nanoTime() - start) / NS_PER_US
    }

    /** The sha256 of the golden output. */
    fun golden(): String {
        val golden = bundle.manifest.golden
        return Golden.sha256Of(upscale(RgbImage(golden.size, Golden.image(golden))).toByteArray())
    }

    fun upscale(image: RgbImage): RgbImage {
        val manifest = bundle.manifest
        val entry = manifest.depthEntry(variant.depth)
        val tiles = TiledUpscaling(model, manifest.scale, entry, manifest.inputSize, backend.largestSidePx)
        val sides = image.size.let { Size(it.heightPx * manifest.scale, it.widthPx * manifest.scale) }
        return RgbImage(sides).also { tiles.run(image, it, TILE_PX) }
    }

    private companion object {
        const val NS_PER_US = 1000L
        const val TILE_PX = 256
    }
}

/** Grows as long as a turn lasts. */
private class Latencies {
    private var values = LongArray(64)
    private var count = 0

    var sumUs = 0L
        private set

    val size: Int get() = count

    fun add(us: Long) {
        if (count == values.size) values = values.copyOf(2 * count)
        values[count++] = us
        sumUs += us
    }

    fun toArray(): LongArray = values.copyOf(count)
}

private class Measurement(
    private val job: Job,
    private val backends: List<Backend>,
    private val device: AgentDevice,
    private val file: ResultsFile,
    private val stopReason: () -> String?,
) : AutoCloseable {
    private val loaded = LinkedHashMap<String, Loaded>()
    private var pluggedIn: Boolean? = null

    /** Label of the variant at work. */
    var variant: String? = null
        private set

    fun run() {
        passGate()
        for (one in job.variants) {
            val steady = isSteady(one.done.queries, one.done.steadyUs)
            if (!steady || imagesLeft(one).isNotEmpty() || sustainedLeft(one) > 0) at(one.label) { start(one) }
        }
        steady()
        for (one in job.variants) {
            if (sustainedLeft(one) > 0) at(one.label) { sustained(loaded.getValue(one.label)) }
        }
        condition()
    }

    override fun close() {
        loaded.values.forEach { it.model.close() }
    }

    private inline fun at(
        label: String,
        work: () -> Unit,
    ) {
        variant = label
        work()
        variant = null
    }

    private fun checkStop() {
        stopReason()?.let { throw StoppedException(it) }
    }

    private fun milliseconds(): Long = device.nanoTime() / NS_PER_MS

    private fun condition(label: String? = null): Condition {
        val now = device.condition()
        val named = label?.let { arrayOf<Pair<String, Any?>>("variant" to it) }.orEmpty()
        file.append("condition", "source" to "agent", "condition" to now.toRecord(), *named)
        val changed = pluggedIn != null && now.pluggedIn != null && now.pluggedIn != pluggedIn
        if (changed) file.append("event", "event" to "power")
        pluggedIn = now.pluggedIn ?: pluggedIn
        return now
    }

    private fun passGate() {
        val gate = job.gate ?: return
        val end = milliseconds() + gate.maxWaitMs
        while (true) {
            val reason = condition().above(gate) ?: return
            val left = end - milliseconds()
            if (left <= 0) {
                throw JobException(
                    "$reason, after ${gate.maxWaitMs / 1000} s of waiting; let it cool, or wait longer with --cool-down",
                )
            }
            file.append("waiting", "reason" to reason)
            val next = milliseconds() + minOf(left, WAITING_EVERY_MS)
            while (milliseconds() < next) {
                checkStop()
                device.sleep(minOf(STOP_EVERY_MS, next - milliseconds()).coerceAtLeast(1))
            }
        }
    }

    private fun isSteady(
        queries: Long,
        us: Long,
    ): Boolean = queries >= job.queries && us >= job.steadyMs * US_PER_MS

    private fun imagesLeft(one: Variant): List<JobImage> = job.images.filter { it.name !in one.done.images }

    private fun sustainedLeft(one: Variant): Long = job.sustainedMs - one.done.sustainedMs

    private fun start(one: Variant) {
        val folder = File(one.bundle)
        val bundle = QsrBundle.open(folder)
        val backend =
            backends.firstOrNull { it.target == bundle.manifest.target }
                ?: throw JobException(
                    "$folder: is for ${bundle.manifest.target}, this agent runs ${backends.joinToString { it.target }}",
                )
        if (bundle.manifest.inputSize.let { it != null && it != one.size }) {
            throw JobException("$folder: takes ${bundle.manifest.inputSize} only, not ${one.size}")
        }
        val spec = bundle.modelSpec(backend, one.depth, one.threads, one.kernels)
        checkStop()
        val began = device.nanoTime()
        val model = backend.load(spec)
        val loadUs = (device.nanoTime() - began) / NS_PER_US
        val entry = Loaded(one, bundle, model, backend, device)
        loaded[one.label] = entry
        val firstUs = entry.infer()
        val golden = if (one.checkGolden) entry.golden() else null
        file.append(
            "start",
            "variant" to one.label,
            "load_us" to loadUs,
            "first_us" to firstUs,
            "golden_equal" to golden?.let { it == bundle.manifest.depthEntry(one.depth).goldenSha256 },
            "golden_sha256" to golden,
            "runtime" to backend.runtime,
        )
        warmUp(entry)
        imagesLeft(one).forEach { image(entry, it) }
    }

    private fun warmUp(entry: Loaded) {
        if (job.warmUpMs == 0L) return
        val turn = turn(entry, job.warmUpMs)
        file.append("warm-up", "variant" to entry.variant.label, "latencies_us" to turn.toArray())
    }

    /** Inferences until their latencies sum up to so much; at least one. */
    private fun turn(
        entry: Loaded,
        ms: Long,
    ): Latencies {
        val turn = Latencies()
        do {
            checkStop()
            turn.add(entry.infer())
        } while (turn.sumUs < ms * US_PER_MS)
        return turn
    }

    private fun image(
        entry: Loaded,
        image: JobImage,
    ) {
        checkStop()
        val source = File(image.path)
        val expected = image.size.heightPx.toLong() * image.size.widthPx * 3
        if (source.length() != expected) {
            throw JobException("$source: ${source.length()} bytes, expected $expected of ${image.size}; push it again")
        }
        val picture = RgbImage(image.size, source.readBytes())
        val start = device.nanoTime()
        val upscaled = entry.upscale(picture)
        val latencyUs = (device.nanoTime() - start) / NS_PER_US
        val pixels = upscaled.toByteArray()
        val name = "${job.variants.indexOf(entry.variant)}-${image.name}.rgb"
        write(File(job.outputs, name), pixels)
        file.append(
            "image",
            "variant" to entry.variant.label,
            "image" to image.name,
            "sha256" to Golden.sha256Of(pixels),
            "output" to name,
            "latency_us" to latencyUs,
        )
    }

    private fun write(
        target: File,
        content: ByteArray,
    ) {
        val folder = target.absoluteFile.parentFile!!
        val temporary = File(folder, ".${target.name}.tmp")
        try {
            if (!folder.isDirectory && !folder.mkdirs()) throw IOException("the folder cannot be made")
            FileOutputStream(temporary).use {
                it.write(content)
                it.fd.sync()
            }
            if (!temporary.renameTo(target)) throw IOException("cannot be renamed")
        } catch (error: IOException) {
            temporary.delete()
            throw IOException("$target: cannot be written (${error.message}); free some space on the device", error)
        }
    }

    private fun steady() {
        val waiting = loaded.values.filterTo(ArrayList()) { !isSteady(it.queries, it.steadyUs) }
        while (waiting.isNotEmpty()) {
            condition()
            for (entry in waiting) at(entry.variant.label) { steadyTurn(entry) }
            waiting.removeAll { isSteady(it.queries, it.steadyUs) }
        }
    }

    private fun steadyTurn(entry: Loaded) {
        val turn = turn(entry, job.roundMs)
        val peak = device.peakBytes()?.let { arrayOf<Pair<String, Any?>>("peak_bytes" to it) }.orEmpty()
        file.append("steady", "variant" to entry.variant.label, "latencies_us" to turn.toArray(), *peak)
        entry.queries += turn.size
        entry.steadyUs += turn.sumUs
    }

    private fun sustained(entry: Loaded) {
        val label = entry.variant.label
        passGate()
        val before = entry.variant.done.sustainedMs
        val began = milliseconds()
        condition(label)
        var toldMs = began
        var recordedMs = before
        var sinceMs = before
        var latencies = Latencies()
        while (sinceMs < job.sustainedMs) {
            checkStop()
            latencies.add(entry.infer())
            sinceMs = before + milliseconds() - began
            if (sinceMs - recordedMs >= SUSTAINED_RECORD_MS || sinceMs >= job.sustainedMs) {
                file.append(
                    "sustained",
                    "variant" to label,
                    "since_ms" to sinceMs,
                    "latencies_us" to latencies.toArray(),
                )
                latencies = Latencies()
                recordedMs = sinceMs
            }
            if (milliseconds() - toldMs >= SUSTAINED_CONDITION_MS) {
                condition(label)
                toldMs = milliseconds()
            }
        }
        condition(label)
    }

    private companion object {
        const val NS_PER_MS = 1_000_000L
        const val NS_PER_US = 1000L
        const val US_PER_MS = 1000L
        const val WAITING_EVERY_MS = 5000L
        const val STOP_EVERY_MS = 200L
        const val SUSTAINED_RECORD_MS = 5000L
        const val SUSTAINED_CONDITION_MS = 10_000L
    }
}
