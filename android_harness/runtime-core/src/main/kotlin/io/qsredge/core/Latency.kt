package io.qsredge.core

/** Latency of a depth: microseconds for 1,000,000 pixels of the input. */
public data class LatencyEntry(
    val depth: Int,
    val usPerMegapixel: Long,
)

/**
 * Latency of every depth.
 *
 * @property source where it comes from, for people.
 * @property entries by depth, ascending; a deeper one is no faster.
 */
public data class LatencyTable(
    val source: String,
    val entries: List<LatencyEntry>,
) {
    /** Every depth, ascending. */
    public val depths: List<Int> = entries.map { it.depth }

    init {
        if (depths.isEmpty() || depths != depths.toSortedSet().toList()) {
            throw PolicyException("latency table: depths are $depths, expected ascending and each once")
        }
        val values = entries.map { it.usPerMegapixel }
        if (values != values.sorted() || values.first() < 1 || values.last() > MAX_US_PER_MEGAPIXEL) {
            throw PolicyException(
                "latency table: $values us per megapixel, expected ascending, 1 to $MAX_US_PER_MEGAPIXEL",
            )
        }
    }

    /** Microseconds that the table has for a frame of so many input pixels, rounded up. */
    internal fun us(
        depth: Int,
        pixels: Long,
    ): Long {
        val entry =
            entries.firstOrNull { it.depth == depth }
                ?: throw PolicyException("the latency table has no depth $depth, only $depths")
        return ceilDiv(entry.usPerMegapixel * pixels, MEGAPIXEL)
    }

    /**
     * Microseconds that a depth will take.
     *
     * @param pixels of the input of a frame, 1 to 2^27.
     * @param ratioMilli what it takes in thousandths of what the table says.
     */
    public fun predictedUs(
        depth: Int,
        pixels: Long,
        ratioMilli: Int,
    ): Long = ceilDiv(us(depth, pixels) * ratioMilli, MILLI)

    internal companion object {
        const val MAX_US_PER_MEGAPIXEL = 1_000_000_000L
        const val MEGAPIXEL = 1_000_000L
    }
}

/**
 * The last observed ratios; immutable, so share it between threads as you like.
 *
 * @property depth of the last observation; null before the first.
 * @property ratiosMilli observed latency over the table's in thousandths, the oldest first.
 */
public data class LatencyTracker(
    val depth: Int? = null,
    val ratiosMilli: List<Int> = emptyList(),
) {
    /** The median of what is kept, the lower of the middle two; null if nothing is. */
    public val ratioMilli: Int? get() = ratiosMilli.sorted().getOrNull((ratiosMilli.size - 1) / 2)

    /**
     * A tracker that has seen one more frame. The first one at a depth is not counted: a runtime plans its memory then.
     *
     * @param depth that ran.
     * @param pixels of the input, 1 to 2^27.
     * @param latencyUs that it took, 0 to 2^40.
     */
    public fun observe(
        table: LatencyTable,
        depth: Int,
        pixels: Long,
        latencyUs: Long,
    ): LatencyTracker {
        if (depth != this.depth) return copy(depth = depth)
        val ratio =
            ceilDiv(
                latencyUs * MILLI,
                maxOf(1, table.us(depth, pixels)),
            ).coerceIn(MIN_RATIO_MILLI, MAX_RATIO_MILLI)
        return LatencyTracker(depth, (ratiosMilli + ratio.toInt()).takeLast(WINDOW))
    }

    private companion object {
        const val WINDOW = 5
    }
}

internal const val MILLI = 1000L
internal const val MIN_RATIO_MILLI = 10L
internal const val MAX_RATIO_MILLI = 100_000L

/** Rounded up; dividend at least 0, divisor above 0. */
internal fun ceilDiv(
    dividend: Long,
    divisor: Long,
): Long = (dividend + divisor - 1) / divisor
