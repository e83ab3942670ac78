/// Reads the selector's records from JSON, as the Python reference writes them. Values were checked by a schema, or are
/// checked here.
extension Json {
    func required<Value>(_ key: String, _ convert: (Json) -> Value?) throws -> Value {
        guard let value = try optional(key, convert) else { throw Self.wrong(key) }
        return value
    }

    func optional<Value>(_ key: String, _ convert: (Json) -> Value?) throws -> Value? {
        guard case .object(let entries) = self else { throw QsrError.policy("expected an object") }
        guard let found = entries[key] else { return nil }
        guard let value = convert(found) else { throw Self.wrong(key) }
        return value
    }

    private static func wrong(_ key: String) -> QsrError {
        .policy("'\(key)' is missing or of a wrong type")
    }
}

extension DepthRule {
    init(_ json: Json) throws {
        try self.init(
            name: json.required("name", \.text),
            maxDepth: json.required("max_depth", \.int),
            unknownCounts: json.required("unknown_counts", \.bool),
            thermalStatusAtLeast: json.optional("thermal_status_at_least", \.int),
            headroomMilliAtLeast: json.optional("headroom_milli_at_least", \.int),
            batteryPercentBelow: json.optional("battery_percent_below", \.int),
            charging: json.optional("charging", \.bool),
            powerSave: json.optional("power_save", \.bool))
    }
}

extension DepthPolicy {
    init(_ json: Json) throws {
        try self.init(
            initialDepth: json.required("initial_depth", \.int),
            dwellMs: json.required("dwell_ms", \.int),
            maxGapMs: json.required("max_gap_ms", \.int),
            latencyMarginMilli: json.required("latency_margin_milli", \.int),
            headroomMarginMilli: json.required("headroom_margin_milli", \.int),
            batteryMarginPercent: json.required("battery_margin_percent", \.int),
            rules: json.required("rules", \.array).map(DepthRule.init))
    }
}

extension LatencyTable {
    init(_ json: Json) throws {
        try self.init(
            source: json.required("source", \.text),
            entries: json.required("entries", \.array).map {
                try LatencyEntry(
                    depth: $0.required("depth", \.int), usPerMegapixel: $0.required("us_per_megapixel", \.int))
            })
    }
}

extension DeviceSample {
    init(_ json: Json) throws {
        try self.init(
            timeMs: json.required("time_ms", \.int),
            pixels: json.required("pixels", \.int),
            budgetUs: json.optional("budget_us", \.int),
            latencyRatioMilli: json.optional("latency_ratio_milli", \.int),
            batteryPercent: json.optional("battery_percent", \.int),
            charging: json.optional("charging", \.bool),
            powerSave: json.optional("power_save", \.bool),
            thermalStatus: json.optional("thermal_status", \.int),
            headroomMilli: json.optional("headroom_milli", \.int))
    }
}

extension SelectorState {
    init(_ json: Json) throws {
        try self.init(
            depth: json.required("depth", \.int),
            timeMs: json.required("time_ms", \.int),
            active: json.required("active", \.array).map {
                guard let name = $0.text else { throw QsrError.policy("state: a rule's name that is no text") }
                return name
            },
            known: json.required("known", \.array).map {
                guard let sensor = $0.text.flatMap(SensorKind.init) else {
                    throw QsrError.policy("state: an unknown sensor")
                }
                return sensor
            },
            ratioMilli: json.required("ratio_milli", \.int),
            permittedSinceMs: json.optional("permitted_since_ms", \.int))
    }

    /// What ``json`` gave.
    ///
    /// - Throws: ``QsrError/policy(_:)`` if it is not.
    public init(json text: String) throws {
        do {
            try self.init(Json(Array(text.utf8)))
        } catch let error as JsonError {
            throw QsrError.policy("the saved state is no JSON (\(error.message)); begin without one")
        }
    }

    /// One line of JSON, to be kept until the app runs again.
    public var json: String {
        // Names of rules and sensors need no escapes.
        func list(_ names: [String]) -> String { "[" + names.map { "\"\($0)\"" }.joined(separator: ",") + "]" }
        var parts = [
            "\"depth\":\(depth)", "\"time_ms\":\(timeMs)", "\"active\":\(list(active))",
            "\"known\":\(list(known.map(\.rawValue)))", "\"ratio_milli\":\(ratioMilli)",
        ]
        if let permittedSinceMs { parts.append("\"permitted_since_ms\":\(permittedSinceMs)") }
        return "{" + parts.joined(separator: ",") + "}"
    }
}
