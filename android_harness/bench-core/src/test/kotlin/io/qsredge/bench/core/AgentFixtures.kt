package io.qsredge.bench.core

import io.qsredge.core.Json
import io.qsredge.core.TestBackend
import java.io.File

/** Waits in no time; its clock goes on when it sleeps, and a little with every look at it. */
internal class SimulatedDevice(
    private val state: (Long) -> Condition = { Condition() },
) : AgentDevice {
    var ns = 0L

    // Runs backwards: durations must not come from it.
    override fun wallMs() = 1_000_000_000_000L - ns / 1_000_000

    override fun nanoTime(): Long {
        ns += 100_000
        return ns
    }

    override fun sleep(ms: Long) {
        ns += ms * 1_000_000
    }

    override fun condition() = state(ns / 1_000_000)

    override fun peakBytes() = 12_345L
}

internal class Records(
    file: File,
) {
    val all = file.readLines().map { Json.parse(it) as Json.Object }

    val kinds get() = all.map { text(it, "kind") }

    fun of(kind: String) = all.filter { text(it, "kind") == kind }

    fun text(
        record: Json.Object,
        key: String,
    ) = (record[key] as Json.Text).value

    fun number(
        record: Json.Object,
        key: String,
    ) = (record[key] as Json.Number).value.toLong()

    fun latencies(record: Json.Object) =
        (record["latencies_us"] as Json.Array).values.map { (it as Json.Number).value.toLong() }
}

internal fun variant(
    label: String,
    bundle: File,
    depth: Int,
    more: String = "",
) = """{"label": "$label", "bundle": "$bundle", "depth": $depth, "kernels": "plain", "threads": 1, "height_px": 5,
    "width_px": 6, "check_golden": true$more}"""

internal fun job(
    folder: File,
    variants: List<String>,
    part: Int = 1,
    more: String = "",
    effort: String = """"queries": 30, "steady_ms": 6, "round_ms": 2, "warm_up_ms": 1, "sustained_ms": 0""",
    images: String = "",
): File {
    val file = folder.resolve("job-$part.json")
    file.writeText(
        """{"protocol": 1, "run": "r", "part": $part, "results": "$folder/out/results-$part.jsonl",
        "outputs": "$folder/out/outputs", $effort, "images": [$images], "variants": [${variants.joinToString()}]$more}""",
    )
    return file
}

internal fun run(
    job: File,
    device: AgentDevice = SimulatedDevice(),
    backend: TestBackend = TestBackend(),
    listener: RecordListener? = null,
): Outcome = BenchAgent("test 1", listOf(backend), device, listener).run(job)
