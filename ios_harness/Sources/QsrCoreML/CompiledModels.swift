import CoreML
import Foundation
import QsrRuntime

/// Compiled packages, kept for the next start: Core ML loads only what was compiled on the device. For several tasks and
/// processes at once.
struct CompiledModels: Sendable {
    private let folder: URL

    init(in folder: URL) {
        self.folder = folder
    }

    /// This app's own; the system may empty it, and backups leave it out.
    static var storage: URL { QsrBundle.storage.appendingPathComponent("compiled") }

    /// The compiled model, made if it is not there.
    ///
    /// - Throws: ``QsrError/model(_:)`` if Core ML cannot compile it; ``QsrError/storage(_:)`` if it cannot be kept.
    func find(_ spec: ModelSpec) async throws -> URL {
        let place = place(spec)
        return FileManager.default.fileExists(atPath: place.path) ? place : try await make(spec, place)
    }

    /// ``find(_:)``, whatever is there.
    func renew(_ spec: ModelSpec) async throws -> URL {
        let place = place(spec)
        try? FileManager.default.removeItem(at: place)
        return try await make(spec, place)
    }

    /// By the hashes of its files and the system that compiled it.
    private func place(_ spec: ModelSpec) -> URL {
        let system = ProcessInfo.processInfo.operatingSystemVersionString
        let lines = spec.listed.map { "\($0.path) \($0.sha256)" } + [system]
        return folder.appendingPathComponent(Sha256.of(lines.joined(separator: "\n").utf8) + ".mlmodelc")
    }

    private func make(_ spec: ModelSpec, _ place: URL) async throws -> URL {
        let compiled: URL
        do {
            compiled = try await MLModel.compileModel(at: spec.file)
        } catch {
            throw CoreMLLoader.failure(spec, "cannot be compiled", error)
        }
        // In a temporary folder of Core ML's; it is ours to move.
        defer { try? FileManager.default.removeItem(at: compiled) }
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try FileManager.default.moveItem(at: compiled, to: place)
        } catch {
            // Another task or process was faster: what it made of the same files is as good.
            if !FileManager.default.fileExists(atPath: place.path) {
                throw QsrError.storage("\(place.path): cannot be written (\(oneLine(error))); free some space")
            }
        }
        return place
    }
}
