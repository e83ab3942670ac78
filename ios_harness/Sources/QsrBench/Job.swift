import Foundation
import QsrRuntime

/// A job cannot be measured as it is; the text is one line.
package struct JobError: Error, Equatable, LocalizedError {
    package let message: String
    package var errorDescription: String? { message }

    init(_ message: String) { self.message = message }
}

/// A state that the device must not be above.
package struct Gate: Equatable, Sendable {
    package let maxThermalStatus: Int
    /// Thousandths of a degree Celsius, of a battery; iPhones tell none.
    package let maxTemperatureMc: Int?
    package let maxWaitMs: Int
}

/// A picture to upscale: raw RGB in a file, rows first, one byte a channel.
package struct JobImage: Equatable, Sendable {
    package let name: String
    package let path: String
    package let size: PixelSize
}

/// What earlier parts of a run have measured of a variant.
package struct Done: Equatable, Sendable {
    package var queries = 0
    package var steadyUs = 0
    package var sustainedMs = 0
    package var images: [String] = []
}

/// What is measured: a bundle's depth under a family of kernels, at a size of the input.
package struct Variant: Equatable, Sendable {
    package let label: String
    package let bundle: String
    package let depth: Int
    package let kernels: String
    package let threads: Int
    package let size: PixelSize
    package let checkGolden: Bool
    package let done: Done
}

/// A part of a run, as docs/device-protocol.md of qsr-edge defines it; durations are of each variant.
package struct Job: Equatable, Sendable {
    /// The version of the protocol that this agent speaks.
    package static let protocolVersion = 1
    private static let mostBytes = 1 << 20
    private static let mostMs = 7 * 24 * 3600 * 1000

    package let run: String
    package let part: Int
    package let results: String
    package let outputs: String
    package let queries: Int
    package let steadyMs: Int
    package let roundMs: Int
    package let warmUpMs: Int
    package let sustainedMs: Int
    package let gate: Gate?
    package let images: [JobImage]
    package let variants: [Variant]

    /// Read a job's file, strictly: every key there, none that is not known, everything in its range.
    ///
    /// - Throws: ``JobError`` naming what is wrong.
    package init(_ content: [UInt8]) throws {
        var fields = try Fields(Self.root(content), "the job")
        let version = try fields.int("protocol", Int.min...Int.max)
        if version != Self.protocolVersion {
            throw JobError(
                "protocol \(version), expected \(Self.protocolVersion); use an app of the same release as qsr-edge")
        }
        run = try fields.text("run", matching: isRunName)
        part = try fields.int("part", 1...9999)
        results = try fields.path("results")
        outputs = try fields.path("outputs")
        queries = try fields.int("queries", 1...1_000_000_000)
        steadyMs = try fields.int("steady_ms", 0...Self.mostMs)
        roundMs = try fields.int("round_ms", 1...60_000)
        warmUpMs = try fields.int("warm_up_ms", 0...Self.mostMs)
        sustainedMs = try fields.int("sustained_ms", 0...Self.mostMs)
        gate = try fields.optional("gate").map(Self.gate)
        images = try fields.list("images").map(Self.image)
        variants = try fields.list("variants").map(Self.variant)
        try fields.end()
        try Self.unique("images", images.map { $0.name.lowercased() })
        try Self.unique("variants", variants.map(\.label))
        if variants.isEmpty { throw JobError("the job has no variants; plan it anew") }
    }

    /// Where a job that cannot be measured wants its results, for the error to be put there; nil if it does not tell.
    static func resultsPath(_ content: [UInt8]) -> String? {
        guard var fields = try? Fields(root(content), "the job") else { return nil }
        return try? fields.path("results")
    }

    private static func root(_ content: [UInt8]) throws -> Json {
        if content.count > mostBytes { throw JobError("\(content.count) bytes, expected at most \(mostBytes)") }
        do {
            return try Json(content)
        } catch {
            throw JobError("the job is no JSON in UTF-8 (\(error.message)); push it again")
        }
    }

    private static func unique(_ what: String, _ names: [String]) throws {
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw JobError("the job's \(what): '\(name)' is there twice; plan it anew")
        }
    }

    private static func gate(_ json: Json) throws -> Gate {
        var fields = try Fields(json, "gate")
        let gate = try Gate(
            maxThermalStatus: fields.int("max_thermal_status", 0...6),
            maxTemperatureMc: fields.optionalInt("max_temperature_mc", -50_000...150_000),
            maxWaitMs: fields.int("max_wait_ms", 0...mostMs))
        try fields.end()
        return gate
    }

    private static func image(_ json: Json) throws -> JobImage {
        var fields = try Fields(json, "an image")
        let image = try JobImage(
            name: fields.text("name", matching: isImageName), path: fields.path("path"), size: fields.size())
        try fields.end()
        return image
    }

    private static func variant(_ json: Json) throws -> Variant {
        var fields = try Fields(json, "a variant")
        let variant = try Variant(
            label: fields.text("label"), bundle: fields.path("bundle"), depth: fields.int("depth", 1...64),
            kernels: fields.text("kernels"), threads: fields.int("threads", 1...256), size: fields.size(),
            checkGolden: fields.bool("check_golden"), done: fields.optional("done").map(done) ?? Done())
        try fields.end()
        return variant
    }

    private static func done(_ json: Json) throws -> Done {
        var fields = try Fields(json, "done")
        let done = try Done(
            queries: fields.int("queries", 0...Int.max), steadyUs: fields.int("steady_us", 0...Int.max),
            sustainedMs: fields.int("sustained_ms", 0...Int.max),
            images: fields.list("images").map { entry in
                guard let name = entry.text else { throw JobError("done: images: no text") }
                return name
            })
        try fields.end()
        return done
    }
}

/// Of 1 to 40 letters, digits, `-` and `_`: it is part of a folder's name.
func isRunName(_ text: String) -> Bool {
    1...40 ~= text.utf8.count && text.utf8.allSatisfy { isPlain($0, nil) }
}

private func isImageName(_ text: String) -> Bool {
    1...80 ~= text.utf8.count && !text.hasPrefix(".") && text.utf8.allSatisfy { isPlain($0, UInt8(ascii: ".")) }
}

private func isPlain(_ byte: UInt8, _ also: UInt8?) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
    default: byte == also
    }
}

/// The keys of an object; ``end()`` sees that all were asked for.
private struct Fields {
    private let entries: [String: Json]
    private let what: String
    private var asked: Set<String> = []

    init(_ json: Json, _ what: String) throws {
        guard case .object(let entries) = json else { throw JobError("\(what) is no object; plan it anew") }
        (self.entries, self.what) = (entries, what)
    }

    mutating func optional(_ key: String) -> Json? {
        asked.insert(key)
        return entries[key].flatMap { $0 == .null ? nil : $0 }
    }

    private mutating func field<Value>(_ key: String, _ expected: String, _ convert: (Json) -> Value?) throws -> Value {
        guard let found = optional(key) else { throw JobError("\(what): '\(key)' is missing; plan it anew") }
        guard let value = convert(found) else { throw JobError("\(what): '\(key)' is not \(expected); plan it anew") }
        return value
    }

    mutating func int(_ key: String, _ range: ClosedRange<Int>) throws -> Int {
        try field(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { json in
            json.int.flatMap { range ~= $0 ? $0 : nil }
        }
    }

    mutating func optionalInt(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
        optional(key) == nil ? nil : try int(key, range)
    }

    mutating func bool(_ key: String) throws -> Bool { try field(key, "true or false", \.bool) }

    mutating func text(_ key: String, matching isAllowed: (String) -> Bool = { _ in true }) throws -> String {
        try field(key, "a text of the expected form") { json in
            json.text.flatMap { !$0.isEmpty && isAllowed($0) ? $0 : nil }
        }
    }

    mutating func path(_ key: String) throws -> String {
        try field(key, "an absolute path") { json in json.text.flatMap { $0.hasPrefix("/") ? $0 : nil } }
    }

    mutating func list(_ key: String) throws -> [Json] { try field(key, "a list", \.array) }

    mutating func size() throws -> PixelSize {
        PixelSize(heightPx: try int("height_px", 1...8192), widthPx: try int("width_px", 1...8192))
    }

    func end() throws {
        if let unknown = entries.keys.sorted().first(where: { !asked.contains($0) }) {
            throw JobError("\(what): the key '\(unknown)' is not known; use an app of the same release as qsr-edge")
        }
    }
}
