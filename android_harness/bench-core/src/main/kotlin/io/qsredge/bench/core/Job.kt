package io.qsredge.bench.core

import io.qsredge.core.Json
import io.qsredge.core.JsonException
import io.qsredge.core.Size
import java.io.File

/** A job cannot be measured as it is; the message is one line. */
class JobException(
    message: String,
) : Exception(message)

/** A state that the device must not be above; temperatures in thousandths of a degree Celsius, null for any. */
data class Gate(
    val maxThermalStatus: Int,
    val maxTemperatureMc: Int?,
    val maxWaitMs: Long,
)

/** A picture to upscale: raw RGB in a file, rows first, one byte a channel. */
data class JobImage(
    val name: String,
    val path: String,
    val size: Size,
)

/** What earlier parts of a run have measured of a variant. */
data class Done(
    val queries: Long = 0,
    val steadyUs: Long = 0,
    val sustainedMs: Long = 0,
    val images: List<String> = emptyList(),
)

/** What is measured: a bundle's depth under a family of kernels, at a size of the input. */
data class Variant(
    val label: String,
    val bundle: String,
    val depth: Int,
    val kernels: String,
    val threads: Int,
    val size: Size,
    val checkGolden: Boolean,
    val done: Done,
)

/** A part of a run, as `docs/device-protocol.md` of qsr-edge defines it; durations are of each variant. */
data class Job(
    val run: String,
    val part: Int,
    val results: String,
    val outputs: String,
    val queries: Long,
    val steadyMs: Long,
    val roundMs: Long,
    val warmUpMs: Long,
    val sustainedMs: Long,
    val gate: Gate?,
    val images: List<JobImage>,
    val variants: List<Variant>,
) {
    companion object {
        /** The version of the protocol that this agent speaks. */
        const val PROTOCOL: Int = 1

        private const val LIMIT_BYTES = 1 shl 20
        private const val MAX_MS = 7L * 24 * 3600 * 1000
        private const val MAX_COUNT = 1_000_000_000L
        private const val MAX_PX = 8192
        private val RUN = Regex("[A-Za-z0-9_-]{1,40}")
        private val NAME = Regex("[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")

        /**
         * Read a job's file, strictly: every key there, none that is not known, everything in its range.
         *
         * @throws JobException naming what is wrong.
         */
        fun parse(content: ByteArray): Job {
            val fields = Fields(root(content), "the job")
            val protocol = fields.long("protocol", Long.MIN_VALUE, Long.MAX_VALUE)
            if (protocol != PROTOCOL.toLong()) {
                throw JobException(
                    "protocol $protocol, expected $PROTOCOL; use an agent of the same release as qsr-edge",
                )
            }
            val job =
                Job(
                    run = fields.text("run", RUN),
                    part = fields.long("part", 1, 9999).toInt(),
                    results = fields.path("results"),
                    outputs = fields.path("outputs"),
                    queries = fields.long("queries", 1, MAX_COUNT),
                    steadyMs = fields.long("steady_ms", 0, MAX_MS),
                    roundMs = fields.long("round_ms", 1, 60_000),
                    warmUpMs = fields.long("warm_up_ms", 0, MAX_MS),
                    sustainedMs = fields.long("sustained_ms", 0, MAX_MS),
                    gate = fields.optional("gate")?.let(::gate),
                    images = fields.list("images").map(::image),
                    variants = fields.list("variants").map(::variant),
                )
            fields.end()
            unique("images", job.images.map { it.name.lowercase() })
            unique("variants", job.variants.map { it.label })
            if (job.variants.isEmpty()) throw JobException("the job has no variants")
            return job
        }

        /** Where a job that cannot be measured wants its results, for the error to be put there; null if it does not tell. */
        fun resultsOf(content: ByteArray): String? =
            try {
                Fields(root(content), "the job").path("results")
            } catch (_: JobException) {
                null
            }

        private fun root(content: ByteArray): Json {
            if (content.size > LIMIT_BYTES) throw JobException("${content.size} bytes, expected at most $LIMIT_BYTES")
            return try {
                Json.parse(content)
            } catch (error: JsonException) {
                throw JobException("the job is no JSON in UTF-8 (${error.message})")
            }
        }

        private fun unique(
            what: String,
            names: List<String>,
        ) {
            val twice = names.firstOrNull { name -> names.count { it == name } > 1 } ?: return
            throw JobException("the job's $what: '$twice' is there twice")
        }

        private fun gate(json: Json): Gate {
            val fields = Fields(json, "gate")
            return Gate(
                maxThermalStatus = fields.long("max_thermal_status", 0, 6).toInt(),
                maxTemperatureMc =
                    if (fields.has("max_temperature_mc")) {
                        fields.long("max_temperature_mc", -50_000, 150_000).toInt()
                    } else {
                        null
                    },
                maxWaitMs = fields.long("max_wait_ms", 0, MAX_MS),
            ).also { fields.end() }
        }

        private fun image(json: Json): JobImage {
            val fields = Fields(json, "an image")
            return JobImage(fields.text("name", NAME), fields.path("path"), fields.size()).also { fields.end() }
        }

        private fun variant(json: Json): Variant {
            val fields = Fields(json, "a variant")
            return Variant(
                label = fields.text("label"),
                bundle = fields.path("bundle"),
                depth = fields.long("depth", 1, 64).toInt(),
                kernels = fields.text("kernels"),
                threads = fields.long("threads", 1, 256).toInt(),
                size = fields.size(),
                checkGolden = fields.boolean("check_golden"),
                done = fields.optional("done")?.let(::done) ?: Done(),
            ).also { fields.end() }
        }

        private fun done(json: Json): Done {
            val fields = Fields(json, "done")
            return Done(
                queries = fields.long("queries", 0, Long.MAX_VALUE),
                steadyUs = fields.long("steady_us", 0, Long.MAX_VALUE),
                sustainedMs = fields.long("sustained_ms", 0, Long.MAX_VALUE),
                images =
                    fields.list("images").map {
                        (it as? Json.Text)?.value
                            ?: throw JobException("done: images: no text")
                    },
            ).also { fields.end() }
        }

        private fun Fields.size(): Size =
            Size(long("height_px", 1, MAX_PX.toLong()).toInt(), long("width_px", 1, MAX_PX.toLong()).toInt())
    }
}

/** The keys of an object; [end] sees that all were asked for. */
private class Fields(
    json: Json,
    private val what: String,
) {
    private val entries = (json as? Json.Object ?: throw JobException("$what is no object")).entries
    private val asked = HashSet<String>()

    fun has(key: String): Boolean = entries[key].let { it != null && it != Json.Null }

    fun optional(key: String): Json? {
        asked += key
        return entries[key].takeIf { it != Json.Null }
    }

    private fun <T> field(
        key: String,
        expected: String,
        convert: (Json) -> T?,
    ): T {
        val value = optional(key) ?: throw JobException("$what: '$key' is missing")
        return convert(value) ?: throw JobException("$what: '$key' is not $expected")
    }

    fun long(
        key: String,
        low: Long,
        high: Long,
    ): Long =
        field(key, "a whole number from $low to $high") { json ->
            try {
                (json as? Json.Number)?.value?.longValueExact()?.takeIf { it in low..high }
            } catch (_: ArithmeticException) {
                null
            }
        }

    fun boolean(key: String): Boolean = field(key, "true or false") { (it as? Json.Bool)?.value }

    fun text(
        key: String,
        pattern: Regex? = null,
    ): String =
        field(key, if (pattern == null) "a text" else "a text of the form $pattern") { json ->
            (json as? Json.Text)?.value?.takeIf { it.isNotEmpty() && pattern?.matches(it) != false }
        }

    fun path(key: String): String =
        field(key, "an absolute path") { json -> (json as? Json.Text)?.value?.takeIf { File(it).isAbsolute } }

    fun list(key: String): List<Json> = field(key, "a list") { (it as? Json.Array)?.values }

    fun end() {
        val unknown = entries.keys.firstOrNull { it !in asked } ?: return
        throw JobException("$what: the key '$unknown' is not known; use an agent of the same release as qsr-edge")
    }
}
