import Foundation
import QsrRuntime

/// A record of the protocol: its kind, and its keys in order.
package struct Record: Sendable {
    package let kind: String
    package let values: [(key: String, value: Json)]

    package subscript(key: String) -> Json? { values.first { $0.key == key }?.value }
}

extension Json {
    /// On one line, UTF-8 unescaped.
    package var line: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .vast, .real: preconditionFailure("records hold whole numbers only")
        case .text(let value): Self.quoted(value)
        case .array(let values): "[" + values.map(\.line).joined(separator: ",") + "]"
        case .object(let entries):
            Self.object(entries.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        }
    }

    static func object(_ entries: [(key: String, value: Json)]) -> String {
        "{" + entries.map { "\(quoted($0.key)):\($0.value.line)" }.joined(separator: ",") + "}"
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case "\0"..<" ": out += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

/// The results of a part: a line of JSON for each record, on disk before ``append(_:_:)`` returns. For any thread.
///
/// Beside it lies a file that is only there to be removed: a storage that has run full then has room for the records that
/// tell so.
package final class ResultsFile: @unchecked Sendable {
    private static let reserveBytes = 16_384
    private let file: URL
    private let reserve: URL
    private let device: any AgentDevice
    private let listener: @Sendable (Record) -> Void
    private let beganNs: Int
    private let lock = NSLock()
    // Guarded by the lock.
    private let handle: FileHandle
    private var length = 0

    /// - Throws: ``QsrError/storage(_:)`` if the file cannot be made, or is there and not empty: each start of an agent has
    ///   a file of its own.
    init(_ file: URL, _ device: any AgentDevice, _ listener: @escaping @Sendable (Record) -> Void) throws {
        (self.file, self.device, self.listener) = (file, device, listener)
        reserve = file.appendingPathExtension("reserve")
        beganNs = device.nanoseconds()
        do {
            let folder = file.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            if let content = try? Data(contentsOf: file), !content.isEmpty {
                throw QsrError.storage("\(file.path): this part was begun before; begin another part")
            }
            try Data(repeating: 0xFF, count: Self.reserveBytes).write(to: reserve)
            try Data().write(to: file)
            handle = try FileHandle(forWritingTo: file)
        } catch let error as QsrError {
            throw error
        } catch {
            throw Self.full(file, error)
        }
    }

    deinit {
        try? handle.close()
        releaseReserve()
    }

    /// Make room for the last records; the part is over.
    func releaseReserve() {
        try? FileManager.default.removeItem(at: reserve)
    }

    /// Write a record.
    ///
    /// - Throws: ``QsrError/storage(_:)`` if it cannot be written; what was there stays whole, and no part of a line is left.
    func append(_ kind: String, _ values: [(key: String, value: Json?)] = []) throws {
        let record = try lock.withLock {
            let stamped: [(key: String, value: Json)] = [
                ("kind", .text(kind)), ("time_ms", .integer(device.wallMs())),
                ("elapsed_ms", .integer((device.nanoseconds() - beganNs) / 1_000_000)),
            ]
            let record = Record(
                kind: kind, values: stamped + values.compactMap { entry in entry.value.map { (entry.key, $0) } })
            let line = Data((Json.object(record.values) + "\n").utf8)
            do {
                try handle.write(contentsOf: line)
                try handle.synchronize()
            } catch {
                try? handle.truncate(atOffset: UInt64(length))
                throw Self.full(file, error)
            }
            length += line.count
            return record
        }
        listener(record)
    }

    private static func full(_ file: URL, _ error: any Error) -> QsrError {
        .storage(
            "\(file.path): cannot be written (\(oneLine(error))); free some space on the phone, then go on with --resume"
        )
    }
}
