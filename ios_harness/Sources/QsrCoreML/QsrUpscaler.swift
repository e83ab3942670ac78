import CoreML
import Foundation
import QsrRuntime

/// How an upscaler works.
public struct UpscalerOptions: Sendable {
    /// To begin with; nil for the policy's, or the deepest if the depth does not adapt.
    public var depth: Int?
    /// Whether heat, battery and the budget choose the depth, by the bundle's policy.
    public var adapts = true
    /// Longest distance from one tile's start to the next one's, in input pixels. A smaller one takes less memory and, for
    /// its halos, more time.
    public var tilePx = 256
    /// Microseconds that a frame may take; nil if nobody waits.
    public var budgetUs: Int?
    /// Told when frames begin to run at another depth, or one cannot be had; on any thread.
    public var onChange: (@Sendable (DepthChange) -> Void)?

    public init() {}
}

/// What became of a wish for another depth.
public enum DepthChange: Equatable, Sendable {
    /// From now on images run at another depth; why it is not deeper.
    case running(depth: Int, reasons: [String])
    /// The model of a depth cannot be loaded; images go on at the depth that runs.
    case failed(depth: Int, error: String)
}

/// A depth's golden output on this device.
public struct SelfTest: Equatable, Sendable {
    public let depth: Int
    public let sha256: String
    public let expectedSha256: String
    /// Whether it is that of the manifest; bundles made for the Neural Engine are not expected to be.
    public var isEqual: Bool { sha256 == expectedSha256 }
}

/// Upscales images and camera frames with a bundle's networks, at a depth that the device can bear.
///
/// For any number of tasks; one image is upscaled at a time, others wait for their turn. Nothing of it computes on the main
/// thread. A cancelled task ends before its next tile with a `CancellationError`, and the next image is not affected.
public actor QsrUpscaler {
    private static let sampleInterval = Duration.seconds(1)
    /// Beyond the selector's limit all images are equally large to it.
    private static let mostPixels = 1 << 27
    private static let mostLatencyUs = 1 << 40

    /// Factor by which images are enlarged.
    public nonisolated let scale: Int
    /// Every depth that there is, ascending.
    public nonisolated let depths: [Int]
    private let bundle: QsrBundle
    private let options: UpscalerOptions
    private let models: DepthModels
    private let turns = Turns()
    private let deviceState: @Sendable () async -> DeviceState
    private let availableBytes: @Sendable () -> Int?
    private let selector: DepthSelector?
    private let clock = ContinuousClock()
    private let began = ContinuousClock.now
    private var state: SelectorState?
    private var reasons: [String] = []
    private var tracker = LatencyTracker()
    private var sampled: ContinuousClock.Instant?
    private var isClosed = false

    /// Load the model to begin with; its first use on a device compiles it, which takes a moment.
    ///
    /// - Throws: ``QsrError/bundle(_:)`` if the bundle is not for Core ML, or lacks the depth or the policy;
    ///   ``QsrError/model(_:)`` if Core ML cannot compile or load the model.
    public init(_ bundle: QsrBundle, options: UpscalerOptions = UpscalerOptions()) async throws {
        try await self.init(
            bundle, options, CoreMLLoader(), deviceState: { await DeviceState.current() },
            availableBytes: { DeviceState.availableBytes })
    }

    init(
        _ bundle: QsrBundle, _ options: UpscalerOptions, _ loader: some ModelLoading,
        deviceState: @escaping @Sendable () async -> DeviceState, availableBytes: @escaping @Sendable () -> Int?
    ) async throws {
        let manifest = bundle.manifest
        self.bundle = bundle
        self.options = options
        self.deviceState = deviceState
        self.availableBytes = availableBytes
        scale = manifest.scale
        depths = manifest.depths.map(\.depth)
        if options.adapts {
            guard let policy = manifest.policy, let table = manifest.latency else {
                throw QsrError.bundle(
                    "\(bundle.root.path): has no selector's policy; convert it with this release, or set adapts to false"
                )
            }
            selector = try DepthSelector(policy: policy, table: table)
        } else {
            selector = nil
        }
        let first = options.depth ?? (options.adapts ? manifest.policy?.initialDepth : nil) ?? depths[depths.count - 1]
        models = try await DepthModels(bundle, loader, first: first, tilePx: options.tilePx, onChange: options.onChange)
    }

    /// The depth of the last image, or of the first one to come.
    public var depth: Int { get async { await models.depth } }

    /// Ask for another depth. Its model is loaded beside the running one, and takes over between two images; a later
    /// request, or the selector's decision, replaces this one.
    ///
    /// - Throws: ``QsrError/bundle(_:)`` if the bundle lacks it; ``QsrError/closed(_:)``.
    public func requestDepth(_ depth: Int) async throws {
        try checkOpen()
        _ = try bundle.manifest.depthEntry(depth)
        await models.request(depth)
    }

    /// Let every depth compute the golden image and compare with the manifest. Takes each model's memory in turn beside the
    /// running one's.
    ///
    /// - Throws: ``QsrError/model(_:)`` if a model cannot be loaded or run; ``QsrError/closed(_:)``; `CancellationError`.
    public func selfTest() async throws -> [SelfTest] {
        try checkOpen()
        await turns.begin()
        defer { turns.end() }
        var found: [SelfTest] = []
        let image = bundle.manifest.golden.image
        for entry in bundle.manifest.depths {
            try checkOpen()
            let model = try await models.load(entry.depth)
            let sink = try RgbSink(image.size.times(scale))
            _ = try await run(image, sink, model, nil)
            let sha256 = Sha256.of(sink.image.pixels)
            found.append(SelfTest(depth: entry.depth, sha256: sha256, expectedSha256: entry.goldenSha256))
        }
        return found
    }

    /// Free the models. A running image ends before its next tile with ``QsrError/closed(_:)``.
    public func close() async {
        isClosed = true
        await models.close()
    }

    /// Compute an image when those before it are done, with the model of the depth that the device can bear.
    ///
    /// - Parameters:
    ///   - size: of the input.
    ///   - outputBytes: of memory that the result takes.
    ///   - work: gives the result, and the time that the network took for the colours.
    func whenFree<Output: Sendable>(
        _ size: PixelSize, outputBytes: Int, _ work: (DepthModel) async throws -> (Output, Duration)
    ) async throws -> Output {
        try checkOpen()
        try checkSize(size)
        await turns.begin()
        defer { turns.end() }
        try Task.checkCancellation()
        try checkOpen()
        try checkMemory(outputBytes)
        let pixels = min(size.heightPx * size.widthPx, Self.mostPixels)
        try await adapt(pixels)
        let model = try await models.current(size, reasons)
        let (output, took) = try await work(model)
        try observe(model.depth, pixels, took)
        return output
    }

    /// Run all tiles of an image; within ``whenFree(_:outputBytes:_:)``. The time that it took.
    func run(
        _ source: some PixelSource, _ sink: some PixelSink, _ model: DepthModel, _ progress: TileProgressHandler?
    ) async throws -> Duration {
        let start = clock.now
        try await model.tiles.run(source, sink, tilePx: options.tilePx, check: checkOpen) { progress?($0) }
        return clock.now - start
    }

    /// Run all tiles of a picture; within ``whenFree(_:outputBytes:_:)``. The time that its colours took.
    func run(
        picture: some PictureSource, _ sink: some PictureSink, _ model: DepthModel, _ progress: TileProgressHandler?
    ) async throws -> Duration {
        try await model.tiles.run(picture: picture, sink, tilePx: options.tilePx, check: checkOpen) { progress?($0) }
    }

    private func checkOpen() throws {
        if isClosed { throw QsrError.closed("this upscaler was closed; make a new one") }
    }

    private func checkMemory(_ bytes: Int) throws {
        guard let available = availableBytes(), available < bytes else { return }
        throw QsrError.memory(
            "the result takes \(bytes >> 20) MiB, this app may have \(available >> 20) more; upscale a part, or free some"
        )
    }

    private func adapt(_ pixels: Int) async throws {
        guard let selector else { return }
        let now = clock.now
        if let sampled, now - sampled < Self.sampleInterval { return }
        sampled = now
        let device = await deviceState()
        let sample = try DeviceSample(
            timeMs: Self.microseconds(now - began) / 1000, pixels: pixels, budgetUs: options.budgetUs,
            latencyRatioMilli: tracker.ratioMilli, batteryPercent: device.batteryPercent, charging: device.isCharging,
            powerSave: device.isLowPowerMode, thermalStatus: device.thermalStatus)
        let decision = try selector.step(state, sample)
        state = decision.state
        reasons = decision.reasons
        await models.request(decision.state.depth)
    }

    private func observe(_ depth: Int, _ pixels: Int, _ latency: Duration) throws {
        guard let table = bundle.manifest.latency else { return }
        let us = min(Self.microseconds(latency), Self.mostLatencyUs)
        try tracker.observe(table, depth: depth, pixels: pixels, latencyUs: us)
    }

    private static func microseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        return Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
    }
}

/// Told after each tile; on any thread.
typealias TileProgressHandler = @Sendable (TileProgress) -> Void
