// Stands in for part of Apple's `os` on Linux; see ../README.md. What a line `// objc` says is checked by tests/unit/ios.
import Foundation

// objc: func os_proc_available_memory()
public func os_proc_available_memory() -> Int { StandInMemory.availableBytes }

/// What tests set; no part of Apple's.
public enum StandInMemory {
    nonisolated(unsafe) public static var availableBytes = Int.max
}
