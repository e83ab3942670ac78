/// What a sample may know, in the order in which states and reasons name it.
public enum SensorKind: String, CaseIterable, Sendable {
    case battery = "battery"
    case charging = "charging"
    case powerSave = "power-save"
    case thermalStatus = "thermal-status"
    case headroom = "headroom"
}

/// What is known at one moment; nil is unknown.
public struct DeviceSample: Equatable, Sendable {
    /// Of a clock that does not run backwards.
    public let timeMs: Int
    /// Of the input of a frame, 1 to 2^27.
    public let pixels: Int
    /// That a frame may take, up to 2^40; nil for no deadline.
    public let budgetUs: Int?
    /// Of a ``LatencyTracker``; nil for the last known.
    public let latencyRatioMilli: Int?
    /// 0 to 100.
    public let batteryPercent: Int?
    /// Whether power comes in.
    public let charging: Bool?
    /// Whether the user asked to save power.
    public let powerSave: Bool?
    /// Android's scale, 0 to 6; Apple's nominal, fair, serious and critical are 0, 2, 3 and 4.
    public let thermalStatus: Int?
    /// Thermal headroom in thousandths, 0 to 10,000; Apple's systems tell none.
    public let headroomMilli: Int?

    /// - Throws: ``QsrError/policy(_:)`` if a value is out of its range.
    public init(
        timeMs: Int, pixels: Int, budgetUs: Int? = nil, latencyRatioMilli: Int? = nil, batteryPercent: Int? = nil,
        charging: Bool? = nil, powerSave: Bool? = nil, thermalStatus: Int? = nil, headroomMilli: Int? = nil
    ) throws {
        self.timeMs = timeMs
        self.pixels = pixels
        self.budgetUs = budgetUs
        self.latencyRatioMilli = latencyRatioMilli
        self.batteryPercent = batteryPercent
        self.charging = charging
        self.powerSave = powerSave
        self.thermalStatus = thermalStatus
        self.headroomMilli = headroomMilli
        try checkRange(timeMs, -Limits.timeMs...Limits.timeMs, "sample: time_ms")
        try checkRange(pixels, 1...Limits.pixels, "sample: pixels")
        try checkRange(budgetUs, 1...Limits.latencyUs, "sample: budget_us")
        try checkRange(latencyRatioMilli, 0...Limits.timeMs, "sample: latency_ratio_milli")
        try checkRange(batteryPercent, 0...100, "sample: battery_percent")
        try checkRange(thermalStatus, 0...Limits.thermalStatus, "sample: thermal_status")
        try checkRange(headroomMilli, 0...Limits.headroomMilli, "sample: headroom_milli")
    }

    func knows(_ sensor: SensorKind) -> Bool {
        switch sensor {
        case .battery: batteryPercent != nil
        case .charging: charging != nil
        case .powerSave: powerSave != nil
        case .thermalStatus: thermalStatus != nil
        case .headroom: headroomMilli != nil
        }
    }
}

/// What a selector remembers; an app may save it and go on later.
public struct SelectorState: Equatable, Sendable {
    /// That runs.
    public var depth: Int
    /// Of the last sample.
    public var timeMs: Int
    /// Names of the rules that hold, in the policy's order.
    public var active: [String] = []
    /// Sensors that have told something since the beginning.
    public var known: [SensorKind] = []
    /// Observed latency over the table's, in thousandths.
    public var ratioMilli = 1000
    /// Since when a step up is permitted; nil if it is not.
    public var permittedSinceMs: Int?
}

/// A new state, with the depth to run, and why it is not deeper.
public struct DepthDecision: Equatable, Sendable {
    public let state: SelectorState
    /// Nothing at the deepest.
    public let reasons: [String]
}

/// Chooses a depth. A pure function: equal arguments give equal decisions, those of the Python reference.
///
/// Down at once, up one level at a time: a step up must have been permitted, with margins, for the policy's dwell. A
/// sensor that was known and is not now never permits one.
public struct DepthSelector: Sendable {
    private let policy: DepthPolicy
    private let table: LatencyTable
    private let depths: [Int]

    /// - Throws: ``QsrError/policy(_:)`` if the policy names a depth that the table does not.
    public init(policy: DepthPolicy, table: LatencyTable) throws {
        self.policy = policy
        self.table = table
        depths = table.depths
        try policy.checkDepths(depths)
    }

    /// Decide.
    ///
    /// - Parameters:
    ///   - state: of the decision before; nil at the beginning.
    ///   - sample: what is known now.
    /// - Throws: ``QsrError/policy(_:)`` if the state names a depth that the table does not.
    public func step(_ state: SelectorState?, _ sample: DeviceSample) throws -> DepthDecision {
        let before = state ?? SelectorState(depth: policy.initialDepth, timeMs: sample.timeMs)
        guard depths.contains(before.depth) else {
            throw QsrError.policy("the state names the depth \(before.depth), expected one of \(depths)")
        }
        let ratio = sample.latencyRatioMilli.map { clamped($0, ratioRange) } ?? before.ratioMilli
        let holding = policy.rules.filter { holds($0, sample, before) }
        let known = SensorKind.allCases.filter { before.known.contains($0) || sample.knows($0) }
        let lost = known.filter { asks($0) && !sample.knows($0) }

        func fits(_ depth: Int, marginMilli: Int) throws -> Bool {
            guard let budget = sample.budgetUs else { return true }
            let predicted = try table.predictedUs(depth: depth, pixels: sample.pixels, ratioMilli: ratio)
            return predicted * 1000 <= budget * (1000 - marginMilli)
        }

        let deepest = depths[depths.count - 1]
        let cap = min(deepest, holding.map(\.maxDepth).min() ?? deepest)
        let limit = min(cap, try depths.last { try fits($0, marginMilli: 0) } ?? depths[0])
        var depth = before.depth
        var since: Int?
        if limit < depth {
            depth = limit
        } else if let deeper = deeper(than: depth), deeper <= cap, lost.isEmpty,
            try fits(deeper, marginMilli: policy.latencyMarginMilli)
        {
            let began = permittedSince(before, sample)
            since = began
            if sample.timeMs - began >= policy.dwellMs {
                depth = deeper
                since = sample.timeMs
            }
        }
        let after = SelectorState(
            depth: depth, timeMs: sample.timeMs, active: holding.map(\.name), known: known, ratioMilli: ratio,
            permittedSinceMs: since)
        guard let deeper = deeper(than: depth) else { return DepthDecision(state: after, reasons: []) }
        var reasons = holding.filter { $0.maxDepth < deeper }.map(\.name)
        if try !fits(deeper, marginMilli: policy.latencyMarginMilli) { reasons.append(latencyReason) }
        reasons += lost.map { unknownPrefix + $0.rawValue }
        return DepthDecision(state: after, reasons: reasons.isEmpty ? [dwellReason] : reasons)
    }

    private func deeper(than depth: Int) -> Int? {
        depths.first { $0 > depth }
    }

    private func permittedSince(_ before: SelectorState, _ sample: DeviceSample) -> Int {
        let gap = sample.timeMs - before.timeMs
        guard let since = before.permittedSinceMs, gap >= 0, gap <= policy.maxGapMs else { return sample.timeMs }
        return since
    }

    private func asks(_ sensor: SensorKind) -> Bool {
        policy.rules.contains { rule in
            switch sensor {
            case .battery: rule.batteryPercentBelow != nil
            case .charging: rule.charging != nil
            case .powerSave: rule.powerSave != nil
            case .thermalStatus: rule.thermalStatusAtLeast != nil
            case .headroom: rule.headroomMilliAtLeast != nil
            }
        }
    }

    private enum Condition {
        case holds
        case clear
        case open
    }

    private func holds(_ rule: DepthRule, _ sample: DeviceSample, _ before: SelectorState) -> Bool {
        var conditions: [Condition] = []

        func add(_ sensor: SensorKind, _ told: Condition?) {
            let unknown: Condition = before.known.contains(sensor) ? .open : rule.unknownCounts ? .holds : .clear
            conditions.append(told ?? unknown)
        }

        if let threshold = rule.batteryPercentBelow {
            add(.battery, sample.batteryPercent.map { below($0, threshold, policy.batteryMarginPercent) })
        }
        if let wanted = rule.charging { add(.charging, sample.charging.map { $0 == wanted ? .holds : .clear }) }
        if let wanted = rule.powerSave { add(.powerSave, sample.powerSave.map { $0 == wanted ? .holds : .clear }) }
        if let threshold = rule.thermalStatusAtLeast {
            // Statuses are whole levels: one below the threshold is clear.
            add(.thermalStatus, sample.thermalStatus.map { atLeast($0, threshold, 1) })
        }
        if let threshold = rule.headroomMilliAtLeast {
            add(.headroom, sample.headroomMilli.map { atLeast($0, threshold, policy.headroomMarginMilli) })
        }
        if conditions.allSatisfy({ $0 == .holds }) { return true }
        return before.active.contains(rule.name) && !conditions.contains(.clear)
    }

    private func atLeast(_ value: Int, _ threshold: Int, _ margin: Int) -> Condition {
        value >= threshold ? .holds : value <= threshold - margin ? .clear : .open
    }

    private func below(_ value: Int, _ threshold: Int, _ margin: Int) -> Condition {
        value < threshold ? .holds : value >= min(threshold + margin, 100) ? .clear : .open
    }
}
