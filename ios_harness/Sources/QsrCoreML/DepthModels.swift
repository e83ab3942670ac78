import Foundation
import QsrRuntime

/// A model that is ready to upscale; for one task at a time.
final class DepthModel: @unchecked Sendable {
    let depth: Int
    let tiles: TiledUpscaling

    init(depth: Int, tiles: TiledUpscaling) {
        self.depth = depth
        self.tiles = tiles
    }
}

/// The running model, and the one that will take over: it is loaded and warmed up while the running one goes on, and taken
/// between two images. A depth whose model cannot be loaded is not tried again until another was asked for.
actor DepthModels {
    private let bundle: QsrBundle
    private let loader: any ModelLoading
    private let tilePx: Int
    private let onChange: (@Sendable (DepthChange) -> Void)?
    private var running: DepthModel?
    private var ready: DepthModel?
    private var wanted: Int
    private var failed: Int?
    private var isLoading = false
    private var isClosed = false
    private var imageSize: PixelSize?

    /// - Parameter first: depth that is loaded before this returns.
    init(
        _ bundle: QsrBundle, _ loader: some ModelLoading, first: Int, tilePx: Int,
        onChange: (@Sendable (DepthChange) -> Void)?
    ) async throws {
        self.bundle = bundle
        self.loader = loader
        self.tilePx = tilePx
        self.onChange = onChange
        wanted = first
        running = try await load(first)
    }

    var depth: Int { running?.depth ?? wanted }

    /// Load a depth apart from those that are kept here.
    nonisolated func load(_ depth: Int) async throws -> DepthModel {
        let spec = try bundle.modelSpec(loader, depth: depth)
        let model = try await loader.load(spec)
        let entry = try bundle.manifest.depthEntry(depth)
        return DepthModel(
            depth: depth, tiles: TiledUpscaling(model, spec, entry, largestSidePx: loader.largestSidePx))
    }

    /// The model for the next image.
    ///
    /// - Parameters:
    ///   - size: of the image; the model that is loaded next is warmed up for such.
    ///   - reasons: for the depth, to be told if it is a new one.
    func current(_ size: PixelSize, _ reasons: [String]) throws -> DepthModel {
        imageSize = size
        if let next = ready {
            running = next
            ready = nil
            onChange?(.running(depth: next.depth, reasons: reasons))
        }
        guard let running else { throw QsrError.closed("this upscaler was closed; make a new one") }
        return running
    }

    /// Ask for a depth; the last one asked for counts.
    func request(_ depth: Int) {
        if depth != wanted { failed = nil }
        wanted = depth
        if ready?.depth != depth { ready = nil }
        loadIfNeeded()
    }

    /// Let go of all models; what runs them keeps its own until it ends.
    func close() {
        isClosed = true
        running = nil
        ready = nil
    }

    private func loadIfNeeded() {
        let isThere = wanted == running?.depth || wanted == ready?.depth || wanted == failed
        if isClosed || isLoading || isThere { return }
        isLoading = true
        let (depth, size) = (wanted, imageSize)
        Task {
            do {
                let model = try await load(depth)
                // Depths differ in their halos, so in their windows.
                if let size { try await model.tiles.warmUp(size, tilePx: tilePx) }
                finish(depth, model, nil)
            } catch {
                finish(depth, nil, error)
            }
        }
    }

    private func finish(_ depth: Int, _ model: DepthModel?, _ error: (any Error)?) {
        isLoading = false
        if let model, !isClosed, wanted == depth { ready = model }
        if let error {
            failed = depth
            onChange?(.failed(depth: depth, error: oneLine(error)))
        }
        loadIfNeeded()
    }
}
