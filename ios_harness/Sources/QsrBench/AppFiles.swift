import Foundation

/// The app's Documents, where qsr-edge puts jobs and takes results. Paths of a job are below it.
package struct AppFiles: Sendable {
    private let documents: URL

    package init(_ documents: URL) {
        self.documents = documents
    }

    /// Where a path of a job is.
    ///
    /// - Throws: ``JobError`` if it would leave the run's folder.
    func url(_ path: String) throws -> URL {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count > 2, parts[0].isEmpty, parts[1].hasPrefix("qsr-edge-"), !parts.contains(".."),
            !parts.contains(".")
        else {
            throw JobError(
                "\(path): no path of qsr-edge, which begin with /qsr-edge-RUN/; start the app by qsr-edge bench")
        }
        return documents.appendingPathComponent(String(path.dropFirst()))
    }

    /// Remove what belongs to a run: no tool can do that from outside.
    func clean(_ run: String) throws {
        guard isRunName(run) else { throw JobError("'\(run)' is no run's name; start the app by qsr-edge bench") }
        let folder = documents.appendingPathComponent("qsr-edge-\(run)")
        if FileManager.default.fileExists(atPath: folder.path) { try FileManager.default.removeItem(at: folder) }
    }
}

/// What the app was started for.
package enum AppCommand: Equatable, Sendable {
    /// Measure a job.
    case job(String)
    /// Remove a run's files and end.
    case clean(String)

    /// Of the arguments of the process, its own name among them; nil if it was started by hand.
    package init?(_ arguments: [String]) {
        func value(_ name: String) -> String? {
            arguments.firstIndex(of: name).flatMap { arguments.indices.contains($0 + 1) ? arguments[$0 + 1] : nil }
        }
        if let run = value("--clean") {
            self = .clean(run)
        } else if let path = value("--job") {
            self = .job(path)
        } else {
            return nil
        }
    }
}
