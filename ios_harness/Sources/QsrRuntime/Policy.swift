/// A cap that holds while all its conditions do; a condition that is nil is none.
public struct DepthRule: Equatable, Sendable {
    /// Lower-case letters, digits and hyphens; what a decision gives as its reason.
    public let name: String
    /// The cap, in residual blocks, 1 to 64.
    public let maxDepth: Int
    /// Whether a sensor that never told anything meets its condition.
    public let unknownCounts: Bool
    /// Android's scale, 1 to 6; Apple's nominal, fair, serious and critical are 0, 2, 3 and 4.
    public let thermalStatusAtLeast: Int?
    /// Thermal headroom in thousandths; Apple's systems tell none.
    public let headroomMilliAtLeast: Int?
    /// 1 to 100.
    public let batteryPercentBelow: Int?
    /// The state that meets the condition.
    public let charging: Bool?
    /// The state of low-power mode that meets the condition.
    public let powerSave: Bool?

    /// - Throws: ``QsrError/policy(_:)`` if a value is out of its range, or there is no condition.
    public init(
        name: String, maxDepth: Int, unknownCounts: Bool, thermalStatusAtLeast: Int? = nil,
        headroomMilliAtLeast: Int? = nil, batteryPercentBelow: Int? = nil, charging: Bool? = nil, powerSave: Bool? = nil
    ) throws {
        self.name = name
        self.maxDepth = maxDepth
        self.unknownCounts = unknownCounts
        self.thermalStatusAtLeast = thermalStatusAtLeast
        self.headroomMilliAtLeast = headroomMilliAtLeast
        self.batteryPercentBelow = batteryPercentBelow
        self.charging = charging
        self.powerSave = powerSave
        guard Self.isName(name), name != latencyReason, name != dwellReason, !name.hasPrefix(unknownPrefix) else {
            throw QsrError.policy("a rule cannot be called '\(name)'")
        }
        try checkRange(maxDepth, 1...Limits.depth, "rule \(name): max_depth")
        try checkRange(thermalStatusAtLeast, 1...Limits.thermalStatus, "rule \(name): thermal_status_at_least")
        try checkRange(headroomMilliAtLeast, 1...Limits.headroomMilli, "rule \(name): headroom_milli_at_least")
        try checkRange(batteryPercentBelow, 1...100, "rule \(name): battery_percent_below")
        if thermalStatusAtLeast == nil, headroomMilliAtLeast == nil, batteryPercentBelow == nil, charging == nil,
            powerSave == nil
        {
            throw QsrError.policy("rule \(name): has no condition")
        }
    }

    private static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard 1...64 ~= bytes.count, UInt8(ascii: "a")...UInt8(ascii: "z") ~= bytes[0] else { return false }
        return bytes.allSatisfy {
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
                || $0 == UInt8(ascii: "-")
        }
    }
}

/// What a selector obeys; docs/selector.md of qsr-edge tells how.
public struct DepthPolicy: Equatable, Sendable {
    /// Before the first sample.
    public let initialDepth: Int
    /// How long a step up must have been permitted.
    public let dwellMs: Int
    /// Samples farther apart begin the dwell anew.
    public let maxGapMs: Int
    /// A step up needs so much less than the budget, in thousandths.
    public let latencyMarginMilli: Int
    /// A headroom condition is over only so far below its threshold.
    public let headroomMarginMilli: Int
    /// A battery condition is over only so far above its threshold.
    public let batteryMarginPercent: Int
    /// In the order in which decisions name them.
    public let rules: [DepthRule]

    /// - Throws: ``QsrError/policy(_:)`` if a value is out of its range, or two rules have one name.
    public init(
        initialDepth: Int, dwellMs: Int, maxGapMs: Int, latencyMarginMilli: Int, headroomMarginMilli: Int,
        batteryMarginPercent: Int, rules: [DepthRule]
    ) throws {
        self.initialDepth = initialDepth
        self.dwellMs = dwellMs
        self.maxGapMs = maxGapMs
        self.latencyMarginMilli = latencyMarginMilli
        self.headroomMarginMilli = headroomMarginMilli
        self.batteryMarginPercent = batteryMarginPercent
        self.rules = rules
        try checkRange(initialDepth, 1...Limits.depth, "initial_depth")
        try checkRange(dwellMs, 0...Limits.timeMs, "dwell_ms")
        try checkRange(maxGapMs, 0...Limits.timeMs, "max_gap_ms")
        try checkRange(latencyMarginMilli, 0...999, "latency_margin_milli")
        try checkRange(headroomMarginMilli, 0...Limits.headroomMilli, "headroom_margin_milli")
        try checkRange(batteryMarginPercent, 0...100, "battery_margin_percent")
        if Set(rules.map(\.name)).count != rules.count { throw QsrError.policy("two rules have the same name") }
    }

    func checkDepths(_ depths: [Int]) throws {
        for depth in [initialDepth] + rules.map(\.maxDepth) where !depths.contains(depth) {
            throw QsrError.policy("the policy names the depth \(depth), expected one of \(depths)")
        }
    }
}

let latencyReason = "latency"
let dwellReason = "dwell"
let unknownPrefix = "unknown-"

enum Limits {
    static let depth = 64
    static let thermalStatus = 6
    static let headroomMilli = 10_000
    static let timeMs = 1 << 52
    static let pixels = 1 << 27
    static let latencyUs = 1 << 40
}

func checkRange(_ value: Int?, _ range: ClosedRange<Int>, _ what: String) throws {
    if let value, !(range ~= value) {
        throw QsrError.policy("\(what) = \(value), expected \(range.lowerBound) to \(range.upperBound)")
    }
}
