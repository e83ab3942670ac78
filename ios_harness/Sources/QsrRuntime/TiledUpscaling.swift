/// How far an upscaling has come.
public struct TileProgress: Equatable, Sendable {
    /// Tiles that are done, and
    public let done: Int
    /// how many there are.
    public let total: Int

    /// From 0 to 1.
    public var fraction: Double { Double(done) / Double(total) }
}

/// Upscales images of any size in windows of bounded size, by one model; every byte is that of the whole image run at
/// once. Keeps the buffers of the windows that it ran last. For one task at a time.
package final class TiledUpscaling {
    private let model: any LoadedModel
    let scale: Int
    private let haloPx: Int
    let gridPx: Int
    private let sizes: [PixelSize]
    private let largestSidePx: Int?
    private var window: (size: PixelSize, buffers: any ModelWindow)?
    /// Of the last image; nil before the first.
    package private(set) var imageSize: PixelSize?

    package convenience init(_ model: any LoadedModel, _ spec: ModelSpec, _ entry: DepthEntry, largestSidePx: Int?) {
        self.init(
            model, spec, haloPx: entry.grid?.haloPx ?? entry.haloPx, gridPx: entry.grid?.stepPx ?? 1,
            largestSidePx: largestSidePx)
    }

    init(_ model: any LoadedModel, _ spec: ModelSpec, haloPx: Int, gridPx: Int, largestSidePx: Int?) {
        self.model = model
        (self.haloPx, self.gridPx) = (haloPx, gridPx)
        scale = spec.scale
        sizes = spec.sizes
        self.largestSidePx = largestSidePx
    }

    /// Upscale.
    ///
    /// - Parameters:
    ///   - tilePx: longest distance from one tile's start to the next one's; not used if the model takes given sizes only.
    ///   - check: called before every tile; what it throws ends the work.
    ///   - progress: told after each tile.
    /// - Throws: ``QsrError/tiles(_:)`` if the image cannot be covered; what the model throws; `CancellationError`.
    package func run(
        _ source: some PixelSource, _ sink: some PixelSink, tilePx: Int,
        isolation: isolated (any Actor)? = #isolation,
        check: () throws -> Void = {}, progress: (TileProgress) -> Void = { _ in }
    ) async throws {
        try await runTiles(source, sink, tilePx: tilePx, settled: { _ in false }, check: check, progress: progress)
    }

    /// As ``run(_:_:tilePx:isolation:check:progress:)``.
    ///
    /// - Parameter settled: asked before every tile; the network does not run, and nothing is written, where it says yes.
    func runTiles(
        _ source: some PixelSource, _ sink: some PixelSink, tilePx: Int,
        isolation: isolated (any Actor)? = #isolation, settled: (Tile) -> Bool,
        check: () throws -> Void, progress: (TileProgress) -> Void
    ) async throws {
        let image = source.size
        try checkSize(image)
        let size = try windowSize(image, tilePx)
        let tiles = try TilePlanner.tiles(image, window: size, haloPx: haloPx, gridPx: gridPx)
        let buffers = try prepare(size)
        imageSize = image
        var rgb: [UInt8] = []
        rgb.reserveCapacity(try byteCount(size))
        for (index, tile) in tiles.enumerated() {
            try check()
            try Task.checkCancellation()
            if !settled(tile) {
                rgb.removeAll(keepingCapacity: true)
                read(tile, source, into: &rgb)
                try buffers.fill(rgb)
                try await buffers.run()
                write(tile, try buffers.read(), window: size, to: sink)
            }
            progress(TileProgress(done: index + 1, total: tiles.count))
        }
    }

    /// Run a window of zeros as an image of that size has it, so that the runtime has planned its memory when one comes.
    package func warmUp(_ image: PixelSize, tilePx: Int, isolation: isolated (any Actor)? = #isolation) async throws {
        let size = try windowSize(image, tilePx)
        let buffers = try prepare(size)
        try buffers.fill([UInt8](repeating: 0, count: try byteCount(size)))
        try await buffers.run()
    }

    private func windowSize(_ image: PixelSize, _ tilePx: Int) throws -> PixelSize {
        if !sizes.isEmpty {
            // The largest that the image fills; what is said of none is said of the first.
            let fitting = sizes.filter { size in
                (try? TilePlanner.tiles(image, window: size, haloPx: haloPx, gridPx: gridPx)) != nil
            }
            return fitting.max { $0.heightPx * $0.widthPx < $1.heightPx * $1.widthPx } ?? sizes[0]
        }
        let longest = largestSidePx.map { $0 - $0 % gridPx - 2 * haloPx } ?? Int.max
        let step = min(tilePx, longest)
        return PixelSize(
            heightPx: try TilePlanner.windowSize(image.heightPx, tilePx: step, haloPx: haloPx, gridPx: gridPx),
            widthPx: try TilePlanner.windowSize(image.widthPx, tilePx: step, haloPx: haloPx, gridPx: gridPx))
    }

    private func prepare(_ size: PixelSize) throws -> any ModelWindow {
        if let window, window.size == size { return window.buffers }
        _ = try size.times(scale)
        // The old ones go first: two windows' memory need not fit.
        window = nil
        let buffers = try model.makeWindow(size)
        window = (size, buffers)
        return buffers
    }

    private func read(_ tile: Tile, _ source: some PixelSource, into rgb: inout [UInt8]) {
        let (height, width) = (source.size.heightPx, source.size.widthPx)
        let columns = tile.columns.window
        let inside = columns.lowerBound..<min(columns.upperBound, width)
        for row in tile.rows.window {
            let line = TilePlanner.reflected(row, sizePx: height)
            source.append(row: line, columns: inside, to: &rgb)
            for column in inside.upperBound..<columns.upperBound {
                let at = TilePlanner.reflected(column, sizePx: width)
                source.append(row: line, columns: at..<at + 1, to: &rgb)
            }
        }
    }

    private func write(_ tile: Tile, _ output: [UInt8], window: PixelSize, to sink: some PixelSink) {
        let (rows, columns) = (tile.rows, tile.columns)
        let left = columns.core.lowerBound * scale
        let bytes = columns.core.count * scale * channels
        let inWindow = left - columns.window.lowerBound * scale
        for row in rows.core.lowerBound * scale..<rows.core.upperBound * scale {
            let line = row - rows.window.lowerBound * scale
            let start = (line * window.widthPx * scale + inWindow) * channels
            sink.write(row: row, column: left, output[start..<start + bytes])
        }
    }
}
