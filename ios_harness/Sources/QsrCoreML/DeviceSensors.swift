import Foundation
import QsrRuntime

#if canImport(UIKit)
    import UIKit
    import os
#endif

/// What a device tells of itself at one moment; nil for what it does not.
public struct DeviceState: Equatable, Sendable {
    /// Apple's nominal, fair, serious and critical as 0, 2, 3 and 4 of Android's scale, which policies use.
    public var thermalStatus: Int?
    /// 0 to 100.
    public var batteryPercent: Int?
    /// Whether power comes in.
    public var isCharging: Bool?
    public var isLowPowerMode: Bool?

    public init(
        thermalStatus: Int? = nil, batteryPercent: Int? = nil, isCharging: Bool? = nil, isLowPowerMode: Bool? = nil
    ) {
        self.thermalStatus = thermalStatus
        self.batteryPercent = batteryPercent
        self.isCharging = isCharging
        self.isLowPowerMode = isLowPowerMode
    }

    /// This device, now. A Mac tells nothing of a battery.
    public static func current() async -> DeviceState {
        let battery = await battery()
        return DeviceState(
            thermalStatus: thermalStatus(ProcessInfo.processInfo.thermalState), batteryPercent: battery.percent,
            isCharging: battery.isCharging, isLowPowerMode: ProcessInfo.processInfo.isLowPowerModeEnabled)
    }

    static func thermalStatus(_ state: ProcessInfo.ThermalState) -> Int? {
        switch state {
        case .nominal: 0
        case .fair: 2
        case .serious: 3
        case .critical: 4
        @unknown default: nil
        }
    }

    #if canImport(UIKit)
        @MainActor
        private static func battery() -> (percent: Int?, isCharging: Bool?) {
            let device = UIDevice.current
            // Off until somebody asks; it costs nothing to leave it on.
            if !device.isBatteryMonitoringEnabled { device.isBatteryMonitoringEnabled = true }
            // A simulator tells -1.
            let level = device.batteryLevel
            let percent = 0...1 ~= level ? Int((100 * level).rounded()) : nil
            switch device.batteryState {
            case .charging, .full: return (percent, true)
            case .unplugged: return (percent, false)
            case .unknown: return (percent, nil)
            @unknown default: return (percent, nil)
            }
        }

        /// What this app may still take before the system ends it.
        static var availableBytes: Int? { Int(os_proc_available_memory()) }
    #else
        private static func battery() async -> (percent: Int?, isCharging: Bool?) { (nil, nil) }

        /// A Mac pages out.
        static var availableBytes: Int? { nil }
    #endif
}
