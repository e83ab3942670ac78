package io.qsredge.core

/**
 * A cap that holds while all its conditions do; a condition that is null is none.
 *
 * @property name lower-case letters, digits and hyphens; what a decision gives as its reason.
 * @property maxDepth the cap, in residual blocks, 1 to 64.
 * @property unknownCounts whether a sensor that never told anything meets its condition.
 * @property thermalStatusAtLeast Android's scale, 1 to 6.
 * @property headroomMilliAtLeast thermal headroom in thousandths; 1000 is where status 3 begins.
 * @property batteryPercentBelow 1 to 100.
 * @property charging the state that meets the condition.
 * @property powerSave the state that meets the condition.
 */
public data class Rule(
    val name: String,
    val maxDepth: Int,
    val unknownCounts: Boolean,
    val thermalStatusAtLeast: Int? = null,
    val headroomMilliAtLeast: Int? = null,
    val batteryPercentBelow: Int? = null,
    val charging: Boolean? = null,
    val powerSave: Boolean? = null,
) {
    init {
        val reserved = name in RESERVED_NAMES || name.startsWith(UNKNOWN_PREFIX)
        if (!NAME.matches(name) || reserved) throw PolicyException("a rule cannot be called '$name'")
        checkRange(maxDepth, 1, MAX_DEPTH, "rule $name: max_depth")
        checkRange(thermalStatusAtLeast, 1, MAX_THERMAL_STATUS, "rule $name: thermal_status_at_least")
        checkRange(headroomMilliAtLeast, 1, MAX_HEADROOM_MILLI, "rule $name: headroom_milli_at_least")
        checkRange(batteryPercentBelow, 1, MAX_PERCENT, "rule $name: battery_percent_below")
        val conditions = listOf(thermalStatusAtLeast, headroomMilliAtLeast, batteryPercentBelow, charging, powerSave)
        if (conditions.all { it == null }) throw PolicyException("rule $name: has no condition")
    }

    private companion object {
        val NAME = Regex("[a-z][a-z0-9-]{0,63}")
        val RESERVED_NAMES = setOf(LATENCY_REASON, DWELL_REASON)
    }
}

/**
 * What a selector obeys; `docs/selector.md` of qsr-edge tells how.
 *
 * @property initialDepth before the first sample.
 * @property dwellMs how long a step up must have been permitted.
 * @property maxGapMs samples farther apart begin the dwell anew.
 * @property latencyMarginMilli a step up needs so much less than the budget, in thousandths.
 * @property headroomMarginMilli a headroom condition is over only so far below its threshold.
 * @property batteryMarginPercent a battery condition is over only so far above its threshold.
 * @property rules in the order in which decisions name them.
 */
public data class Policy(
    val initialDepth: Int,
    val dwellMs: Long,
    val maxGapMs: Long,
    val latencyMarginMilli: Int,
    val headroomMarginMilli: Int,
    val batteryMarginPercent: Int,
    val rules: List<Rule>,
) {
    init {
        checkRange(initialDepth, 1, MAX_DEPTH, "initial_depth")
        checkRange(dwellMs, 0, MAX_TIME_MS, "dwell_ms")
        checkRange(maxGapMs, 0, MAX_TIME_MS, "max_gap_ms")
        checkRange(latencyMarginMilli, 0, MAX_LATENCY_MARGIN_MILLI, "latency_margin_milli")
        checkRange(headroomMarginMilli, 0, MAX_HEADROOM_MILLI, "headroom_margin_milli")
        checkRange(batteryMarginPercent, 0, MAX_PERCENT, "battery_margin_percent")
        if (rules.map { it.name }.toSet().size != rules.size) throw PolicyException("two rules have the same name")
    }

    /** @throws PolicyException if a depth is named that is not in [depths]. */
    internal fun checkDepths(depths: List<Int>) {
        for (depth in listOf(initialDepth) + rules.map { it.maxDepth }) {
            if (depth !in depths) throw PolicyException("the policy names the depth $depth, expected one of $depths")
        }
    }
}

internal const val LATENCY_REASON = "latency"
internal const val DWELL_REASON = "dwell"
internal const val UNKNOWN_PREFIX = "unknown-"
internal const val MAX_DEPTH = 64
internal const val MAX_THERMAL_STATUS = 6
internal const val MAX_HEADROOM_MILLI = 10_000
internal const val MAX_PERCENT = 100
internal const val MAX_LATENCY_MARGIN_MILLI = 999
internal const val MAX_TIME_MS = 1L shl 52

internal fun checkRange(
    value: Int?,
    low: Int,
    high: Int,
    what: String,
) = checkRange(value?.toLong(), low.toLong(), high.toLong(), what)

internal fun checkRange(
    value: Long?,
    low: Long,
    high: Long,
    what: String,
) {
    if (value != null && value !in low..high) throw PolicyException("$what = $value, expected $low to $high")
}
