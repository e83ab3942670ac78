import Foundation
import QsrRuntime

/// How a part ended; the message says why it is not complete.
package struct Outcome: Equatable, Sendable {
    package let message: String?
    package var isComplete: Bool { message == nil }
    /// In a few words.
    package var summary: String { message.map { "ended: \($0)" } ?? "done" }
}

/// Measures a job as docs/device-protocol.md of qsr-edge tells: gate, start, steady rounds in turns, sustained runs; every
/// record is on disk before the next measurement. ``run(_:onJob:)`` is for one task, the rest for any.
package final class BenchAgent: @unchecked Sendable {
    private let name: String
    private let loader: any ModelLoading
    private let device: any AgentDevice
    private let files: AppFiles
    private let onRecord: @Sendable (Record) -> Void
    private let lock = NSLock()
    // Guarded by the lock.
    private var results: ResultsFile?
    private var stopReason: String?

    /// - Parameters:
    ///   - name: of the agent and its version.
    ///   - onRecord: told of every record after it is on disk; on any thread.
    package init(
        _ name: String, _ loader: any ModelLoading, _ device: any AgentDevice, _ files: AppFiles,
        onRecord: @escaping @Sendable (Record) -> Void = { _ in }
    ) {
        (self.name, self.loader, self.device, self.files, self.onRecord) = (name, loader, device, files, onRecord)
    }

    /// Measure the job of a file, or remove a run's files.
    ///
    /// - Parameter onJob: told of a job once it is read.
    package func run(_ command: AppCommand, onJob: @Sendable (Job) -> Void = { _ in }) async -> Outcome {
        do {
            switch command {
            case .clean(let run):
                try files.clean(run)
                return Outcome(message: nil)
            case .job(let path):
                return try await measure(path, onJob)
            }
        } catch {
            return Outcome(message: oneLine(error))
        }
    }

    /// Write an `event` record, if a part runs. One that cannot be written is lost: the part then ends by itself.
    package func event(_ event: String, thermalStatus: Int? = nil) {
        let running = lock.withLock { results }
        try? running?.append("event", [("event", .text(event)), ("thermal_status", thermalStatus.map(Json.integer))])
    }

    /// End the part after the present inference; `end` gives the reason.
    package func stop(_ reason: String) {
        lock.withLock { stopReason = reason }
    }

    private func measure(_ path: String, _ onJob: @Sendable (Job) -> Void) async throws -> Outcome {
        let content: [UInt8]
        do {
            content = [UInt8](try Data(contentsOf: files.url(path)))
        } catch let error as JobError {
            throw error
        } catch {
            throw JobError("\(path): cannot be read (\(oneLine(error))); push it again")
        }
        do {
            let job = try Job(content)
            _ = try files.url(job.outputs)
            let file = try ResultsFile(files.url(job.results), device, onRecord)
            onJob(job)
            return try await record(job, file)
        } catch let error as JobError {
            guard let place = try Job.resultsPath(content).map(files.url) else { throw error }
            let file = try ResultsFile(place, device, onRecord)
            try file.append("agent", agentValues)
            try file.append("error", [("message", .text(error.message))])
            return try end(file, error.message)
        }
    }

    private var agentValues: [(key: String, value: Json?)] {
        [("protocol", .integer(Job.protocolVersion)), ("agent", .text(name)), ("runtime", .text(loader.runtime))]
    }

    private func record(_ job: Job, _ file: ResultsFile) async throws -> Outcome {
        try file.append("agent", agentValues + [("run", .text(job.run)), ("part", .integer(job.part))])
        lock.withLock { results = file }
        let measurement = Measurement(job, loader, device, files, file) { [self] in lock.withLock { stopReason } }
        var message: String?
        do {
            try await measurement.run()
        } catch let stopped as Stopped {
            message = stopped.reason
        } catch {
            // What was measured is on disk.
            file.releaseReserve()
            let text = oneLine(error)
            message = text
            try file.append("error", [("message", .text(text)), ("variant", measurement.variant.map(Json.text))])
        }
        lock.withLock { results = nil }
        return try end(file, message)
    }

    private func end(_ file: ResultsFile, _ message: String?) throws -> Outcome {
        try file.append("end", [("complete", .bool(message == nil)), ("reason", message.map(Json.text))])
        return Outcome(message: message)
    }
}

struct Stopped: Error {
    let reason: String
}
