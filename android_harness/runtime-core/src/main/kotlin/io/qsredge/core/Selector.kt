package io.qsredge.core

/** What a sample may know, in the order in which states and reasons name it. */
public enum class Sensor(
    public val label: String,
) {
    BATTERY("battery"),
    CHARGING("charging"),
    POWER_SAVE("power-save"),
    THERMAL_STATUS("thermal-status"),
    HEADROOM("headroom"),
}

/**
 * What is known at one moment; null is unknown.
 *
 * @property timeMs of a clock that does not run backwards, such as `SystemClock.elapsedRealtime()`.
 * @property pixels of the input of a frame, 1 to 2^27.
 * @property budgetUs that a frame may take, up to 2^40; null for no deadline.
 * @property latencyRatioMilli of a [LatencyTracker]; null for the last known.
 * @property batteryPercent 0 to 100.
 * @property charging whether power comes in.
 * @property powerSave whether the user asked to save power.
 * @property thermalStatus Android's scale, 0 to 6.
 * @property headroomMilli Android's thermal headroom in thousandths, 0 to 10,000.
 */
public data class Sample(
    val timeMs: Long,
    val pixels: Long,
    val budgetUs: Long? = null,
    val latencyRatioMilli: Long? = null,
    val batteryPercent: Int? = null,
    val charging: Boolean? = null,
    val powerSave: Boolean? = null,
    val thermalStatus: Int? = null,
    val headroomMilli: Int? = null,
) {
    init {
        checkRange(timeMs, -MAX_TIME_MS, MAX_TIME_MS, "sample: time_ms")
        checkRange(pixels, 1, 1L shl 27, "sample: pixels")
        checkRange(budgetUs, 1, 1L shl 40, "sample: budget_us")
        checkRange(latencyRatioMilli, 0, MAX_TIME_MS, "sample: latency_ratio_milli")
        checkRange(batteryPercent, 0, MAX_PERCENT, "sample: battery_percent")
        checkRange(thermalStatus, 0, MAX_THERMAL_STATUS, "sample: thermal_status")
        checkRange(headroomMilli, 0, MAX_HEADROOM_MILLI, "sample: headroom_milli")
    }

    internal fun knows(sensor: Sensor): Boolean =
        when (sensor) {
            Sensor.BATTERY -> batteryPercent
            Sensor.CHARGING -> charging
            Sensor.POWER_SAVE -> powerSave
            Sensor.THERMAL_STATUS -> thermalStatus
            Sensor.HEADROOM -> headroomMilli
        } != null
}

/**
 * What a selector remembers; an app may save it and go on later.
 *
 * @property depth that runs.
 * @property timeMs of the last sample.
 * @property active names of the rules that hold, in the policy's order.
 * @property known sensors that have told something since the beginning.
 * @property ratioMilli observed latency over the table's, in thousandths.
 * @property permittedSinceMs since when a step up is permitted; null if it is not.
 */
public data class State(
    val depth: Int,
    val timeMs: Long,
    val active: List<String> = emptyList(),
    val known: List<Sensor> = emptyList(),
    val ratioMilli: Int = 1000,
    val permittedSinceMs: Long? = null,
)

/** The new state, with the depth to run, and why it is not deeper: nothing at the deepest. */
public data class Decision(
    val state: State,
    val reasons: List<String>,
)

/**
 * Chooses a depth. A pure function: equal arguments give equal decisions, those of the Python reference.
 *
 * Down at once, up one level at a time: a step up must have been permitted, with margins, for the policy's dwell. A
 * sensor that was known and is not now never permits one.
 *
 * @param policy one that names only depths of the table.
 * @param table latency of every depth that may run.
 * @throws PolicyException if policy or state name a depth that the table does not.
 */
public class Selector(
    private val policy: Policy,
    private val table: LatencyTable,
) {
    private val depths = table.depths

    init {
        policy.checkDepths(depths)
    }

    /**
     * Decide.
     *
     * @param state of the decision before; null at the beginning.
     * @param sample what is known now.
     */
    public fun step(
        state: State?,
        sample: Sample,
    ): Decision {
        val before = state ?: State(depth = policy.initialDepth, timeMs = sample.timeMs)
        if (before.depth !in
            depths
        ) {
            throw PolicyException("the state names the depth ${before.depth}, expected one of $depths")
        }
        val ratio = sample.latencyRatioMilli?.coerceIn(MIN_RATIO_MILLI, MAX_RATIO_MILLI)?.toInt() ?: before.ratioMilli
        val holding = policy.rules.filter { holds(it, sample, before) }
        val known = Sensor.entries.filter { it in before.known || sample.knows(it) }
        val lost = known.filter { asks(it) && !sample.knows(it) }

        fun fits(
            depth: Int,
            marginMilli: Int,
        ): Boolean {
            val budget = sample.budgetUs ?: return true
            return table.predictedUs(depth, sample.pixels, ratio) * MILLI <= budget * (MILLI - marginMilli)
        }

        val cap = minOf(depths.last(), holding.minOfOrNull { it.maxDepth } ?: depths.last())
        val limit = minOf(cap, depths.lastOrNull { fits(it, 0) } ?: depths.first())
        var depth = before.depth
        var since: Long? = null
        if (limit < depth) {
            depth = limit
        } else {
            val deeper = deeperThan(depth)
            if (deeper != null && deeper <= cap && fits(deeper, policy.latencyMarginMilli) && lost.isEmpty()) {
                since = permittedSince(before, sample)
                if (sample.timeMs - since >= policy.dwellMs) {
                    depth = deeper
                    since = sample.timeMs
                }
            }
        }
        val after = State(depth, sample.timeMs, holding.map { it.name }, known, ratio, since)
        val deeper = deeperThan(depth) ?: return Decision(after, emptyList())
        val reasons = holding.filter { it.maxDepth < deeper }.mapTo(ArrayList()) { it.name }
        if (!fits(deeper, policy.latencyMarginMilli)) reasons += LATENCY_REASON
        lost.mapTo(reasons) { UNKNOWN_PREFIX + it.label }
        return Decision(after, reasons.ifEmpty { listOf(DWELL_REASON) })
    }

    private fun deeperThan(depth: Int): Int? = depths.firstOrNull { it > depth }

    private fun permittedSince(
        before: State,
        sample: Sample,
    ): Long {
        val gap = sample.timeMs - before.timeMs
        val since = before.permittedSinceMs
        return if (since == null || gap !in 0..policy.maxGapMs) sample.timeMs else since
    }

    private fun asks(sensor: Sensor): Boolean =
        policy.rules.any { rule ->
            when (sensor) {
                Sensor.BATTERY -> rule.batteryPercentBelow
                Sensor.CHARGING -> rule.charging
                Sensor.POWER_SAVE -> rule.powerSave
                Sensor.THERMAL_STATUS -> rule.thermalStatusAtLeast
                Sensor.HEADROOM -> rule.headroomMilliAtLeast
            } != null
        }

    private enum class Condition { HOLDS, CLEAR, OPEN }

    private fun holds(
        rule: Rule,
        sample: Sample,
        before: State,
    ): Boolean {
        val conditions = ArrayList<Condition>()

        fun add(
            sensor: Sensor,
            told: Condition?,
        ) {
            conditions += told ?: when {
                sensor in before.known -> Condition.OPEN
                rule.unknownCounts -> Condition.HOLDS
                else -> Condition.CLEAR
            }
        }

        rule.batteryPercentBelow?.let { threshold ->
            add(Sensor.BATTERY, sample.batteryPercent?.let { below(it, threshold, policy.batteryMarginPercent) })
        }
        rule.charging?.let { wanted -> add(Sensor.CHARGING, sample.charging?.let { equal(it, wanted) }) }
        rule.powerSave?.let { wanted -> add(Sensor.POWER_SAVE, sample.powerSave?.let { equal(it, wanted) }) }
        rule.thermalStatusAtLeast?.let { threshold ->
            // Statuses are whole levels: one below the threshold is clear.
            add(Sensor.THERMAL_STATUS, sample.thermalStatus?.let { atLeast(it, threshold, 1) })
        }
        rule.headroomMilliAtLeast?.let { threshold ->
            add(Sensor.HEADROOM, sample.headroomMilli?.let { atLeast(it, threshold, policy.headroomMarginMilli) })
        }
        if (conditions.all { it == Condition.HOLDS }) return true
        return rule.name in before.active && Condition.CLEAR !in conditions
    }

    private fun atLeast(
        value: Int,
        threshold: Int,
        margin: Int,
    ): Condition =
        when {
            value >= threshold -> Condition.HOLDS
            value <= threshold - margin -> Condition.CLEAR
            else -> Condition.OPEN
        }

    private fun below(
        value: Int,
        threshold: Int,
        margin: Int,
    ): Condition =
        when {
            value < threshold -> Condition.HOLDS
            value >= minOf(threshold + margin, MAX_PERCENT) -> Condition.CLEAR
            else -> Condition.OPEN
        }

    private fun equal(
        value: Boolean,
        wanted: Boolean,
    ): Condition =
        if (value ==
            wanted
        ) {
            Condition.HOLDS
        } else {
            Condition.CLEAR
        }
}
