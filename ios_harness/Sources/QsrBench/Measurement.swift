import Foundation
import QsrRuntime

/// A variant that is loaded, and its timed input.
private final class Loaded {
    let variant: Variant
    let bundle: QsrBundle
    let tiles: TiledUpscaling
    var queries: Int
    var steadyUs: Int
    private let window: any ModelWindow
    private let device: any AgentDevice

    init(
        _ variant: Variant, _ bundle: QsrBundle, _ model: any LoadedModel, _ tiles: TiledUpscaling,
        _ device: any AgentDevice
    ) throws {
        (self.variant, self.bundle, self.tiles, self.device) = (variant, bundle, tiles, device)
        (queries, steadyUs) = (variant.done.queries, variant.done.steadyUs)
        window = try model.makeWindow(variant.size)
        try window.fill(GoldenInput(seed: bundle.manifest.golden.seed, size: variant.size).image.pixels)
    }

    /// Microseconds of one inference.
    func infer() async throws -> Int {
        let start = device.nanoseconds()
        try await window.run()
        return (device.nanoseconds() - start) / 1000
    }

    func upscale(_ image: RgbImage) async throws -> RgbImage {
        let sink = try RgbSink(image.size.times(bundle.manifest.scale))
        try await tiles.run(image, sink, tilePx: 256)
        return sink.image
    }
}

/// One part's work. For one task.
final class Measurement {
    private static let waitingEveryMs = 5000
    private static let stopEveryMs = 200
    private static let sustainedRecordMs = 5000
    private static let sustainedConditionMs = 10_000
    private let job: Job
    private let loader: any ModelLoading
    private let device: any AgentDevice
    private let files: AppFiles
    private let file: ResultsFile
    private let stopReason: () -> String?
    private var loaded: [Loaded] = []
    private var isPluggedIn: Bool?
    /// Label of the variant at work.
    private(set) var variant: String?

    init(
        _ job: Job, _ loader: any ModelLoading, _ device: any AgentDevice, _ files: AppFiles, _ file: ResultsFile,
        stopReason: @escaping () -> String?
    ) {
        (self.job, self.loader, self.device, self.files, self.file) = (job, loader, device, files, file)
        self.stopReason = stopReason
    }

    func run() async throws {
        try await passGate()
        for one in job.variants {
            let isSteady = isSteady(one.done.queries, one.done.steadyUs)
            if !isSteady || !imagesLeft(one).isEmpty || sustainedLeft(one) > 0 {
                variant = one.label
                try await start(one)
            }
        }
        variant = nil
        try await steady()
        for one in loaded where sustainedLeft(one.variant) > 0 {
            variant = one.variant.label
            try await sustained(one)
        }
        variant = nil
        try await condition()
    }

    private func checkStop() throws {
        if let reason = stopReason() { throw Stopped(reason: reason) }
    }

    private func milliseconds() -> Int { device.nanoseconds() / 1_000_000 }

    @discardableResult
    private func condition(_ label: String? = nil) async throws -> Condition {
        let now = await device.condition()
        try file.append(
            "condition", [("source", .text("agent")), ("condition", now.json), ("variant", label.map(Json.text))])
        if let before = isPluggedIn, let after = now.isPluggedIn, before != after {
            try file.append("event", [("event", .text("power"))])
        }
        isPluggedIn = now.isPluggedIn ?? isPluggedIn
        return now
    }

    private func passGate() async throws {
        guard let gate = job.gate else { return }
        let end = milliseconds() + gate.maxWaitMs
        while let reason = try await condition().reason(above: gate) {
            let left = end - milliseconds()
            if left <= 0 {
                throw JobError(
                    "\(reason), after \(gate.maxWaitMs / 1000) s of waiting; let it cool, or allow more with --gate")
            }
            try file.append("waiting", [("reason", .text(reason))])
            let next = milliseconds() + min(left, Self.waitingEveryMs)
            while milliseconds() < next {
                try checkStop()
                try await device.sleep(ms: max(1, min(Self.stopEveryMs, next - milliseconds())))
            }
        }
    }

    private func isSteady(_ queries: Int, _ us: Int) -> Bool { queries >= job.queries && us >= job.steadyMs * 1000 }

    private func imagesLeft(_ one: Variant) -> [JobImage] { job.images.filter { !one.done.images.contains($0.name) } }

    private func sustainedLeft(_ one: Variant) -> Int { job.sustainedMs - one.done.sustainedMs }

    private func start(_ one: Variant) async throws {
        let bundle = try QsrBundle(at: files.url(one.bundle))
        let manifest = bundle.manifest
        let spec = try bundle.modelSpec(loader, depth: one.depth, kernels: one.kernels)
        if !spec.sizes.isEmpty, !spec.sizes.contains(one.size) {
            let sizes = spec.sizes.map(\.description).joined(separator: ", ")
            throw JobError("\(one.bundle): takes \(sizes) only, not \(one.size); choose one of them with --size")
        }
        try checkStop()
        let began = device.nanoseconds()
        let model = try await loader.load(spec)
        let loadUs = (device.nanoseconds() - began) / 1000
        let golden = try manifest.depthEntry(one.depth)
        let tiles = TiledUpscaling(model, spec, golden, largestSidePx: loader.largestSidePx)
        let entry = try Loaded(one, bundle, model, tiles, device)
        loaded.append(entry)
        let firstUs = try await entry.infer()
        let sha256 = one.checkGolden ? Sha256.of(try await entry.upscale(manifest.golden.image).pixels) : nil
        try file.append(
            "start",
            [
                ("variant", .text(one.label)), ("load_us", .integer(loadUs)), ("first_us", .integer(firstUs)),
                ("golden_equal", sha256.map { .bool($0 == golden.goldenSha256) } ?? .null),
                ("golden_sha256", sha256.map(Json.text) ?? .null), ("runtime", .text(loader.runtime)),
            ])
        if job.warmUpMs > 0 {
            let turn = try await turn(entry, job.warmUpMs)
            try file.append("warm-up", [("variant", .text(one.label)), ("latencies_us", latencies(turn))])
        }
        for image in imagesLeft(one) { try await upscale(entry, image) }
    }

    private func latencies(_ us: [Int]) -> Json { .array(us.map(Json.integer)) }

    /// Inferences until their latencies sum up to so much; at least one.
    private func turn(_ entry: Loaded, _ ms: Int) async throws -> [Int] {
        var us: [Int] = []
        var sum = 0
        repeat {
            try checkStop()
            us.append(try await entry.infer())
            sum += us[us.count - 1]
        } while sum < ms * 1000
        return us
    }

    private func upscale(_ entry: Loaded, _ image: JobImage) async throws {
        try checkStop()
        let content: [UInt8]
        do {
            content = [UInt8](try Data(contentsOf: files.url(image.path)))
        } catch let error as JobError {
            throw error
        } catch {
            throw JobError("\(image.path): cannot be read (\(oneLine(error))); push it again")
        }
        let expected = try byteCount(image.size)
        guard content.count == expected else {
            throw JobError(
                "\(image.path): \(content.count) bytes, expected \(expected) of \(image.size); push it again")
        }
        let picture = try RgbImage(size: image.size, pixels: content)
        let start = device.nanoseconds()
        let pixels = try await entry.upscale(picture).pixels
        let latencyUs = (device.nanoseconds() - start) / 1000
        let index = job.variants.firstIndex(of: entry.variant) ?? 0
        let name = "\(index)-\(image.name).rgb"
        try write(pixels, name)
        try file.append(
            "image",
            [
                ("variant", .text(entry.variant.label)), ("image", .text(image.name)),
                ("sha256", .text(Sha256.of(pixels))), ("output", .text(name)), ("latency_us", .integer(latencyUs)),
            ])
    }

    private func write(_ pixels: [UInt8], _ name: String) throws {
        let folder = try files.url(job.outputs)
        let target = folder.appendingPathComponent(name)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            // To a name of its own first, then renamed.
            try Data(pixels).write(to: target, options: .atomic)
        } catch {
            throw QsrError.storage(
                "\(job.outputs)/\(name): cannot be written (\(oneLine(error))); free some space on the phone")
        }
    }

    private func steady() async throws {
        var waiting = loaded.filter { !isSteady($0.queries, $0.steadyUs) }
        while !waiting.isEmpty {
            try await condition()
            for entry in waiting {
                variant = entry.variant.label
                let us = try await turn(entry, job.roundMs)
                try file.append(
                    "steady",
                    [
                        ("variant", .text(entry.variant.label)), ("latencies_us", latencies(us)),
                        ("peak_bytes", device.peakBytes().map(Json.integer)),
                    ])
                entry.queries += us.count
                entry.steadyUs += us.reduce(0, +)
            }
            variant = nil
            waiting.removeAll { isSteady($0.queries, $0.steadyUs) }
        }
    }

    private func sustained(_ entry: Loaded) async throws {
        let label = entry.variant.label
        try await passGate()
        let before = entry.variant.done.sustainedMs
        let began = milliseconds()
        try await condition(label)
        var (toldMs, recordedMs, sinceMs) = (began, before, before)
        var us: [Int] = []
        while sinceMs < job.sustainedMs {
            try checkStop()
            us.append(try await entry.infer())
            sinceMs = before + milliseconds() - began
            if sinceMs - recordedMs >= Self.sustainedRecordMs || sinceMs >= job.sustainedMs {
                try file.append(
                    "sustained",
                    [("variant", .text(label)), ("since_ms", .integer(sinceMs)), ("latencies_us", latencies(us))])
                us = []
                recordedMs = sinceMs
            }
            if milliseconds() - toldMs >= Self.sustainedConditionMs {
                try await condition(label)
                toldMs = milliseconds()
            }
        }
        try await condition(label)
    }
}
