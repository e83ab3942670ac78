package io.qsredge.core

/** Reads and writes the selector's records as JSON, as the Python reference does. Values were checked by a schema, or are checked here. */
internal object Records {
    fun rule(json: Json): Rule =
        Rule(
            name = string(json, "name"),
            maxDepth = int(json, "max_depth"),
            unknownCounts = boolean(json, "unknown_counts"),
            thermalStatusAtLeast = intOrNull(json, "thermal_status_at_least"),
            headroomMilliAtLeast = intOrNull(json, "headroom_milli_at_least"),
            batteryPercentBelow = intOrNull(json, "battery_percent_below"),
            charging = booleanOrNull(json, "charging"),
            powerSave = booleanOrNull(json, "power_save"),
        )

    fun policy(json: Json): Policy =
        Policy(
            initialDepth = int(json, "initial_depth"),
            dwellMs = long(json, "dwell_ms"),
            maxGapMs = long(json, "max_gap_ms"),
            latencyMarginMilli = int(json, "latency_margin_milli"),
            headroomMarginMilli = int(json, "headroom_margin_milli"),
            batteryMarginPercent = int(json, "battery_margin_percent"),
            rules = list(json, "rules").map(::rule),
        )

    fun latencyTable(json: Json): LatencyTable =
        LatencyTable(
            source = string(json, "source"),
            entries = list(json, "entries").map { LatencyEntry(int(it, "depth"), long(it, "us_per_megapixel")) },
        )

    fun sample(json: Json): Sample =
        Sample(
            timeMs = long(json, "time_ms"),
            pixels = long(json, "pixels"),
            budgetUs = longOrNull(json, "budget_us"),
            latencyRatioMilli = longOrNull(json, "latency_ratio_milli"),
            batteryPercent = intOrNull(json, "battery_percent"),
            charging = booleanOrNull(json, "charging"),
            powerSave = booleanOrNull(json, "power_save"),
            thermalStatus = intOrNull(json, "thermal_status"),
            headroomMilli = intOrNull(json, "headroom_milli"),
        )

    fun state(json: Json): State =
        State(
            depth = int(json, "depth"),
            timeMs = long(json, "time_ms"),
            active = list(json, "active").map { (it as Json.Text).value },
            known =
                list(json, "known").map { label ->
                    Sensor.entries.firstOrNull { it.label == (label as Json.Text).value }
                        ?: throw PolicyException("state: an unknown sensor")
                },
            ratioMilli = int(json, "ratio_milli"),
            permittedSinceMs = longOrNull(json, "permitted_since_ms"),
        )

    fun string(
        json: Json,
        key: String,
    ): String = (field(json, key) as? Json.Text)?.value ?: wrong(key)

    fun list(
        json: Json,
        key: String,
    ): List<Json> = (field(json, key) as? Json.Array)?.values ?: wrong(key)

    fun int(
        json: Json,
        key: String,
    ): Int = intOrNull(json, key) ?: wrong(key)

    fun long(
        json: Json,
        key: String,
    ): Long = longOrNull(json, key) ?: wrong(key)

    fun boolean(
        json: Json,
        key: String,
    ): Boolean = booleanOrNull(json, key) ?: wrong(key)

    fun intOrNull(
        json: Json,
        key: String,
    ): Int? =
        field(json, key)?.let {
            exact(it, key) { number -> number.intValueExact() }
        }

    fun longOrNull(
        json: Json,
        key: String,
    ): Long? =
        field(json, key)?.let {
            exact(it, key) { number -> number.longValueExact() }
        }

    private fun booleanOrNull(
        json: Json,
        key: String,
    ): Boolean? =
        field(json, key)?.let {
            (it as? Json.Bool)?.value
                ?: wrong(key)
        }

    private fun field(
        json: Json,
        key: String,
    ): Json? =
        (
            json as? Json.Object
                ?: throw PolicyException("expected an object")
        )[key]

    private fun <T> exact(
        json: Json,
        key: String,
        convert: (java.math.BigDecimal) -> T,
    ): T =
        try {
            convert((json as? Json.Number ?: wrong(key)).value)
        } catch (_: ArithmeticException) {
            wrong(key)
        }

    private fun wrong(key: String): Nothing = throw PolicyException("'$key' is missing or of a wrong type")
}

/** A [State] as JSON, to be kept until the app runs again. */
public object StateJson {
    /** One line of JSON. */
    public fun write(state: State): String {
        val parts =
            mutableListOf(
                "\"depth\":${state.depth}",
                "\"time_ms\":${state.timeMs}",
                // Names of rules and sensors need no escapes.
                "\"active\":${state.active.joinToString(",", "[", "]") { "\"$it\"" }}",
                "\"known\":${state.known.joinToString(",", "[", "]") { "\"${it.label}\"" }}",
                "\"ratio_milli\":${state.ratioMilli}",
            )
        state.permittedSinceMs?.let { parts += "\"permitted_since_ms\":$it" }
        return parts.joinToString(",", "{", "}")
    }

    /**
     * What [write] wrote.
     *
     * @throws PolicyException if it is not.
     */
    public fun read(text: String): State =
        try {
            Records.state(Json.parse(text))
        } catch (error: JsonException) {
            throw PolicyException("the saved state is no JSON (${error.message}); begin without one")
        }
}
