import Foundation
import QsrCoreML
import QsrRuntime

/// The part that an app measures; for any task. The app around it shows ``state`` and tells what happens to it.
public final class BenchHost: Sendable {
    private let agent: BenchAgent
    private let screen: BenchScreen

    /// - Parameter documents: the app's, where qsr-edge puts jobs and takes results.
    public init(documents: URL) {
        let files = AppFiles(documents)
        let screen = BenchScreen(files)
        self.screen = screen
        agent = BenchAgent("qsr-edge-ios-app", CoreMLLoader(), ThisDevice(), files, onRecord: screen.onRecord)
    }

    /// What to show now.
    public var state: ScreenState { screen.state }

    /// Do what the process was started for.
    ///
    /// - Parameter arguments: of the process.
    /// - Returns: false if it was started by hand, so that there is nothing to do; true if the app is to end.
    public func run(_ arguments: [String]) async -> Bool {
        guard let command = AppCommand(arguments) else { return false }
        screen.onOutcome(await agent.run(command, onJob: screen.onJob))
        if case .clean = command { return true }
        return false
    }

    /// Record what happens to the app while a part runs.
    public func tell(_ event: Event) {
        switch event {
        case .thermal:
            Task { [agent] in agent.event("thermal", thermalStatus: await DeviceState.current().thermalStatus) }
        case .paused, .resumed, .lowMemory:
            agent.event(event.rawValue)
        }
    }

    /// What may happen to an app that measures.
    public enum Event: String, Sendable {
        case thermal
        case paused
        case resumed
        case lowMemory = "low-memory"
    }
}

extension RawPicture {
    /// Its pixels; nil if the file is gone, is of another size, or too large for a screen.
    public func read() -> RgbImage? {
        guard size.heightPx * size.widthPx <= 12_000_000, let content = try? Data(contentsOf: file) else { return nil }
        return try? RgbImage(size: size, pixels: [UInt8](content))
    }
}
