package io.qsredge.core

/** Turns what Android's sensors give into a [Sample]'s values; no Android here, so that it is tested anywhere. */
public object SensorValues {
    /** `PowerManager.getThermalHeadroom()` in thousandths; null for NaN (asked too often, or not supported) and infinity. */
    public fun headroomMilli(headroom: Float): Int? {
        if (headroom.isNaN() || headroom.isInfinite()) return null
        return Math.round(headroom.toDouble() * 1000).coerceIn(0L, MAX_HEADROOM_MILLI.toLong()).toInt()
    }

    /** `BatteryManager.BATTERY_PROPERTY_CAPACITY`; null for values out of range, such as Integer.MIN_VALUE. */
    public fun batteryPercent(capacity: Int): Int? = capacity.takeIf { it in 0..MAX_PERCENT }

    /** `PowerManager.getCurrentThermalStatus()`; null for values that Android does not define. */
    public fun thermalStatus(status: Int): Int? = status.takeIf { it in 0..MAX_THERMAL_STATUS }
}

/**
 * Asks for the thermal headroom no more than once a second, as Android wants it, and keeps an answer for a while when the
 * next one is NaN. Not for use by two threads at once.
 */
public class HeadroomReader(
    private val ask: () -> Float,
) {
    private var askedMs: Long? = null
    private var answeredMs = 0L
    private var answer: Int? = null

    /** The headroom in thousandths at a time of a clock that does not run backwards; null if it is not known. */
    public fun read(nowMs: Long): Int? {
        val last = askedMs
        if (last == null || nowMs - last >= INTERVAL_MS) {
            askedMs = nowMs
            SensorValues.headroomMilli(ask())?.let {
                answer = it
                answeredMs = nowMs
            }
        }
        if (nowMs - answeredMs > KEPT_MS) answer = null
        return answer
    }

    private companion object {
        const val INTERVAL_MS = 1000L
        const val KEPT_MS = 10_000L
    }
}
