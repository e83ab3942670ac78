/// Quality of a depth on a data set: on luma.
public struct QualityEntry: Equatable, Sendable {
    public let dataset: String
    public let psnrDb: Double
    public let ssim: Double
    public let images: Int
}

/// Tiles of a network whose windows of attention stand on a grid.
public struct TileGrid: Equatable, Sendable {
    /// Tiles begin and end at multiples of it; an image is continued by reflection to the next multiple.
    public let stepPx: Int
    /// Receptive-field radius of such tiles; twice of it is a multiple of the step.
    public let haloPx: Int
}

/// One depth of the network.
public struct DepthEntry: Equatable, Sendable {
    /// Number of residual blocks.
    public let depth: Int
    /// Path of the model in the bundle: a file, or a folder that is one model.
    public let file: String
    /// Entry point within the model, if it holds several depths.
    public let signature: String?
    /// Pixels of the input around a tile that its output depends on; 32768 if only tiles on a grid have such.
    public let haloPx: Int
    /// Of the output's bytes for the golden input.
    public let goldenSha256: String
    /// Multiply-accumulates per pixel of the input.
    public let macsPerPixel: Int
    /// As measured on the deployed graph.
    public let quality: [QualityEntry]
    /// Of a network that sees where an image begins; nil for tiles that begin anywhere.
    public let grid: TileGrid?
}

/// A file of the bundle.
public struct FileEntry: Equatable, Sendable {
    /// Relative to the manifest, with forward slashes.
    public let path: String
    /// In lower case.
    public let sha256: String
    public let bytes: Int
}

/// What a bundle holds, as far as an app needs it.
public struct BundleManifest: Equatable, Sendable {
    /// Name of the file in a bundle.
    public static let fileName = "manifest.json"
    static let mostBytes = 1 << 20
    static let remedy = "fetch the bundle anew"
    static let modelCard = "MODEL_CARD.md"
    private static let major = "1"

    public let name: String
    /// Back end that runs the models: `coreml` for this package.
    public let target: String
    /// Factor by which images are enlarged.
    public let scale: Int
    /// Of body weights and activations.
    public let bits: Int
    /// What the models are made for, such as `CPU and GPU`; nil if the bundle does not tell.
    public let computeUnits: String?
    /// Whether the models compute the golden interpreter's bytes.
    public let isByteExact: Bool
    /// The first size that the models take, if they do not take any.
    public let inputSize: PixelSize?
    /// Further sizes.
    public let moreSizes: [PixelSize]
    /// Nil in bundles of version 1.0.
    public let policy: DepthPolicy?
    /// Nil in bundles of version 1.0.
    public let latency: LatencyTable?
    /// Ascending.
    public let depths: [DepthEntry]
    public let golden: GoldenInput
    public let files: [FileEntry]

    /// Read a manifest and check all that can be checked without the files it lists.
    ///
    /// - Parameters:
    ///   - content: of the file.
    ///   - source: its name, for messages.
    /// - Throws: ``QsrError/bundle(_:)`` if it is too large, not JSON, of an unknown version, damaged, or contradicts
    ///   itself.
    public init(_ content: [UInt8], source: String = fileName) throws {
        func fail(_ what: String) -> QsrError { .bundle("\(source): \(what); \(Self.remedy)") }

        if content.count > Self.mostBytes {
            throw fail("\(content.count) bytes, expected at most \(Self.mostBytes)")
        }
        let json: Json
        do {
            json = try Json(content)
        } catch {
            throw fail("not valid JSON in UTF-8 (\(error.message))")
        }
        guard case .object = json else { throw fail("no JSON object") }
        guard let version = json["schema_version"]?.text, let found = Self.majorOf(version) else {
            throw fail("no schema_version")
        }
        if found != Self.major {
            throw QsrError.bundle(
                "\(source): schema_version \(version), this release reads \(Self.major).x; update the app")
        }
        guard Self.isSealed(content) else { throw fail("edited or damaged, its manifest_sha256 is another") }
        if let error = Self.schema.firstError(json) { throw fail("at \(error)") }
        do {
            try self.init(checked: json)
            try check(json)
        } catch QsrError.policy(let what) {
            throw fail(what)
        }
    }

    /// The entry of a depth.
    ///
    /// - Throws: ``QsrError/bundle(_:)`` naming those that there are.
    public func depthEntry(_ depth: Int) throws -> DepthEntry {
        guard let entry = depths.first(where: { $0.depth == depth }) else {
            throw QsrError.bundle("\(name): has no depth \(depth), only \(depths.map(\.depth)); choose one of them")
        }
        return entry
    }

    private static func majorOf(_ version: String) -> String? {
        let parts = version.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let plain = parts.allSatisfy { part in
            1...6 ~= part.count && part.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        }
        return parts.count == 2 && plain ? String(Substring(parts[0])) : nil
    }

    /// Whether the second line is the sha256 of all the others.
    private static func isSealed(_ content: [UInt8]) -> Bool {
        let begin = Array("{\n".utf8)
        let lead = begin + Array("  \"manifest_sha256\": \"".utf8)
        let trail = Array("\",\n".utf8)
        let hashEnd = lead.count + 64
        guard content.count >= hashEnd + trail.count, content.starts(with: lead),
            content[hashEnd...].starts(with: trail)
        else { return false }
        var digest = Sha256()
        digest.update(begin)
        digest.update(content[(hashEnd + trail.count)...])
        return content[lead.count..<hashEnd].elementsEqual(digest.finish().utf8)
    }

    private static let schema: JsonSchema = {
        do {
            return try JsonSchema(Json(PackageResources.manifest_schema_json))
        } catch {
            // A part of this very package, whose tests read it.
            fatalError("manifest.schema.json: \(error)")
        }
    }()
}

extension BundleManifest {
    /// Of JSON that keeps to the schema.
    private init(checked json: Json) throws {
        let deployment = json["deployment"]
        let golden = try json.required("golden") { $0 }
        name = try json.required("name", \.text)
        target = try json.required("target", \.text)
        scale = try json.required("scale", \.int)
        bits = try json.required("bits", \.int)
        computeUnits = try deployment?.required("compute_units", \.text)
        isByteExact = try deployment?.required("byte_exact", \.bool) ?? true
        inputSize = try json.optional("input_size_px", Self.size)
        moreSizes = try (json.optional("more_sizes_px", \.array) ?? []).compactMap(Self.size)
        policy = try json["selector"].map(DepthPolicy.init)
        latency = try json["latency"].map(LatencyTable.init)
        depths = try json.required("depths", \.array).map(DepthEntry.init)
        self.golden = GoldenInput(
            seed: try golden.required("seed", \.int),
            size: PixelSize(
                heightPx: try golden.required("height_px", \.int), widthPx: try golden.required("width_px", \.int)))
        files = try json.required("files", \.array).map { entry in
            try FileEntry(
                path: entry.required("path", \.text), sha256: entry.required("sha256", \.text),
                bytes: entry.required("bytes", \.int))
        }
    }

    private static func size(_ json: Json) -> PixelSize? {
        guard let sides = json.array?.compactMap(\.int), sides.count == 2 else { return nil }
        return PixelSize(heightPx: sides[0], widthPx: sides[1])
    }

    /// What a schema cannot say.
    private func check(_ json: Json) throws {
        func demand(_ condition: Bool, _ what: @autoclosure () -> String) throws {
            if !condition { throw QsrError.policy(what()) }
        }
        let numbers = depths.map(\.depth)
        try demand(isAscending(numbers, strictly: true), "depths are \(numbers), expected ascending and each once")
        let models = depths.map { [$0.file, $0.signature] }
        try demand(Set(models).count == models.count, "two depths are in the same file under the same signature")
        try demand(latency.map { $0.depths == numbers } ?? true, "the latency table has other depths than the bundle")
        try policy?.checkDepths(numbers)
        try demand(inputSize.map { $0 == golden.size } ?? true, "the golden input is of another size")
        for grid in depths.compactMap(\.grid) {
            try demand(2 * grid.haloPx % grid.stepPx == 0, "\(grid): expected a multiple of half the step")
            let sides = inputSize.map { [$0.heightPx, $0.widthPx] } ?? []
            try demand(
                sides.allSatisfy { $0 % grid.stepPx == 0 }, "the models' input is no multiple of the grid's step")
        }
        for entry in try json.required("parity", \.array) {
            let depth = try entry.required("depth", \.int)
            try demand(numbers.contains(depth), "parity names a depth that the bundle does not offer")
        }
        try checkPaths(demand)
    }

    private func checkPaths(_ demand: (Bool, @autoclosure () -> String) throws -> Void) throws {
        // Compared without case: some file systems do not tell "A" from "a". Paths are ASCII.
        var seen: Set<String> = []
        for entry in files {
            try demand(Self.isPath(entry.path), "path '\(entry.path)' is not allowed")
            let folded = entry.path.lowercased()
            try demand(
                folded != Self.fileName && seen.insert(folded).inserted,
                "path '\(entry.path)' is listed twice or is the manifest's own")
        }
        for path in seen {
            let parts = path.split(separator: "/")
            for count in 1..<max(parts.count, 1) {
                let folder = parts.prefix(count).joined(separator: "/")
                try demand(!seen.contains(folder), "path '\(path)' lies in another file")
            }
        }
        for entry in depths {
            try demand(
                listed(under: entry.file).reduce(0) { $0 + $1.bytes } > 0,
                "depth \(entry.depth) is in '\(entry.file)', which is not listed")
        }
    }

    /// The files of a model: itself, or those within it if it is a folder.
    package func listed(under model: String) -> [FileEntry] {
        files.filter { $0.path == model || $0.path.hasPrefix(model + "/") }
    }

    private static func isPath(_ text: String) -> Bool {
        text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            guard let first = part.first, isLetter(first) else { return false }
            return part.allSatisfy { isLetter($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension DepthEntry {
    fileprivate init(_ json: Json) throws {
        depth = try json.required("depth", \.int)
        file = try json.required("file", \.text)
        signature = try json.optional("signature", \.text)
        haloPx = try json.required("halo_px", \.int)
        goldenSha256 = try json.required("golden_sha256", \.text)
        macsPerPixel = try json.required("macs_per_pixel", \.int)
        quality = try json.required("quality", \.array).map { entry in
            try QualityEntry(
                dataset: entry.required("dataset", \.text), psnrDb: entry.required("psnr_db", \.double),
                ssim: entry.required("ssim", \.double), images: entry.required("images", \.int))
        }
        grid = try json["grid"].map {
            TileGrid(stepPx: try $0.required("step_px", \.int), haloPx: try $0.required("halo_px", \.int))
        }
    }
}
