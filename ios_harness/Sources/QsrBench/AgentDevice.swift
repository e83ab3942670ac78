import Foundation
import QsrCoreML
import QsrRuntime

/// The state of a device that latencies depend on, in the protocol's units; nil for what it does not tell.
package struct Condition: Equatable, Sendable {
    package var thermalStatus: Int?
    package var batteryPercent: Int?
    package var isPluggedIn: Bool?
    package var isPowerSave: Bool?

    package init(
        thermalStatus: Int? = nil, batteryPercent: Int? = nil, isPluggedIn: Bool? = nil, isPowerSave: Bool? = nil
    ) {
        self.thermalStatus = thermalStatus
        self.batteryPercent = batteryPercent
        self.isPluggedIn = isPluggedIn
        self.isPowerSave = isPowerSave
    }

    var json: Json {
        let all: [(String, Json?)] = [
            ("thermal_status", thermalStatus.map(Json.integer)), ("battery_percent", batteryPercent.map(Json.integer)),
            ("plugged_in", isPluggedIn.map(Json.bool)), ("power_save", isPowerSave.map(Json.bool)),
        ]
        return .object(Dictionary(uniqueKeysWithValues: all.compactMap { key, value in value.map { (key, $0) } }))
    }

    /// Why a device in this state is not to be measured yet; nil if it is. What it does not tell cannot keep it.
    func reason(above gate: Gate) -> String? {
        guard let thermalStatus, thermalStatus > gate.maxThermalStatus else { return nil }
        return "thermal status \(thermalStatus), expected at most \(gate.maxThermalStatus)"
    }
}

/// What an agent runs on.
package protocol AgentDevice: Sendable {
    /// Of a clock that never jumps.
    func nanoseconds() -> Int
    /// The wall clock, since 1970.
    func wallMs() -> Int
    func sleep(ms: Int) async throws
    /// The state now.
    func condition() async -> Condition
    /// The most memory that this process has had resident; nil if unknown.
    func peakBytes() -> Int?
}

extension AgentDevice {
    package func nanoseconds() -> Int { Int(DispatchTime.now().uptimeNanoseconds) }
    package func wallMs() -> Int { Int(Date().timeIntervalSince1970 * 1000) }
    package func sleep(ms: Int) async throws { try await Task.sleep(for: .milliseconds(ms)) }

    package func peakBytes() -> Int? {
        var usage = rusage()
        // The same number, of another type and unit.
        #if canImport(Darwin)
            let (this, unit) = (RUSAGE_SELF, 1)
        #else
            let (this, unit) = (RUSAGE_SELF.rawValue, 1024)
        #endif
        return getrusage(this, &usage) == 0 ? Int(usage.ru_maxrss) * unit : nil
    }
}

/// This device.
package struct ThisDevice: AgentDevice {
    package init() {}

    package func condition() async -> Condition {
        let state = await DeviceState.current()
        return Condition(
            thermalStatus: state.thermalStatus, batteryPercent: state.batteryPercent, isPluggedIn: state.isCharging,
            isPowerSave: state.isLowPowerMode)
    }
}
