// Stands in for part of UIKit, and of Foundation where Linux lacks it; see ../README.md. What a line `// objc` says is
// checked by tests/unit/ios.
@_exported import CoreGraphics
@_exported import Foundation

// objc: class UIDevice
@MainActor
public final class UIDevice {
    // objc: property UIDevice.currentDevice static
    public static let current = UIDevice()
    // objc: property UIDevice.batteryMonitoringEnabled
    public var isBatteryMonitoringEnabled = false
    // objc: property UIDevice.batteryLevel readonly
    public var batteryLevel: Float { isBatteryMonitoringEnabled ? StandInDevice.batteryLevel : -1 }
    // objc: property UIDevice.batteryState readonly
    public var batteryState: BatteryState { isBatteryMonitoringEnabled ? StandInDevice.batteryState : .unknown }

    // objc: enum UIDeviceBatteryState
    public enum BatteryState: Int, Sendable {
        // objc: case Unknown = 0
        case unknown = 0
        // objc: case Unplugged = 1
        case unplugged = 1
        // objc: case Charging = 2
        case charging = 2
        // objc: case Full = 3
        case full = 3
    }
}

// objc: class UIApplication
@MainActor
public final class UIApplication {
    // objc: property UIApplication.sharedApplication static
    public static let shared = UIApplication()
    // objc: property UIApplication.idleTimerDisabled
    public var isIdleTimerDisabled = false
    // objc: const UIApplicationDidReceiveMemoryWarningNotification
    public nonisolated static let didReceiveMemoryWarningNotification = Notification.Name("memory")
}

// objc: class UIImage
public final class UIImage {
    // objc: property UIImage.CGImage readonly
    public let cgImage: CGImage?
    // objc: property UIImage.imageOrientation readonly
    public let imageOrientation: Orientation

    // objc: init UIImage.initWithData(data)
    public init?(data: Data) { return nil }
    // objc: init UIImage.initWithCGImageScaleOrientation(cgImage, scale, orientation)
    public init(cgImage: CGImage, scale: CGFloat, orientation: Orientation) {
        (self.cgImage, imageOrientation) = (cgImage, orientation)
    }

    // objc: enum UIImageOrientation
    public enum Orientation: Int, Sendable {
        // objc: case Up = 0
        case up = 0
    }
}

extension ProcessInfo {
    // objc: const NSProcessInfoThermalStateDidChangeNotification
    public static let thermalStateDidChangeNotification = Notification.Name("thermal state")
    // objc: enum NSProcessInfoThermalState
    public enum ThermalState: Int, Sendable {
        // objc: case Nominal = 0
        case nominal = 0
        // objc: case Fair = 1
        case fair = 1
        // objc: case Serious = 2
        case serious = 2
        // objc: case Critical = 3
        case critical = 3
    }

    // objc: property NSProcessInfo.thermalState readonly
    public var thermalState: ThermalState { StandInDevice.thermalState }
    // objc: property NSProcessInfo.lowPowerModeEnabled readonly
    public var isLowPowerModeEnabled: Bool { StandInDevice.isLowPowerModeEnabled }
}

/// What tests set; no part of Apple's.
public enum StandInDevice {
    nonisolated(unsafe) public static var batteryLevel: Float = 1
    nonisolated(unsafe) public static var batteryState = UIDevice.BatteryState.unplugged
    nonisolated(unsafe) public static var thermalState = ProcessInfo.ThermalState.nominal
    nonisolated(unsafe) public static var isLowPowerModeEnabled = false
}
