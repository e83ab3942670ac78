/// Height and width in pixels.
public struct PixelSize: Hashable, Sendable, CustomStringConvertible {
    public let heightPx: Int
    public let widthPx: Int

    public init(heightPx: Int, widthPx: Int) {
        self.heightPx = heightPx
        self.widthPx = widthPx
    }

    /// Width first, as people say it: `1920x1080`.
    public var description: String { "\(widthPx)x\(heightPx)" }
}

/// One tile along one axis, in input pixels.
struct TileSpan: Equatable {
    /// What the network reads; beyond the image it is continued by reflection.
    let window: Range<Int>
    /// What is kept of its output, times the scale.
    let core: Range<Int>
}

/// One tile: its span along rows and along columns.
struct Tile: Equatable {
    let rows: TileSpan
    let columns: TileSpan
}

/// Plans tiles whose seams do not exist: every byte equals that of the whole image run at once. A window that has the
/// image's border for its own gets the network's own zero padding there; any other edge lies a halo away from the core.
/// On a grid windows begin and end at multiples of it, the last one beyond an image that the grid does not divide.
enum TilePlanner {
    /// The smallest window for as many tiles as cores of `tilePx` take.
    ///
    /// - Parameters:
    ///   - sizePx: length of the axis, at least 1.
    ///   - tilePx: longest distance from one core's start to the next one's, at least 1.
    ///   - haloPx: receptive-field radius, at least 0.
    ///   - gridPx: windows begin and end at multiples of it.
    /// - Throws: ``QsrError/tiles(_:)`` if an argument is out of its range.
    static func windowSize(_ sizePx: Int, tilePx: Int, haloPx: Int, gridPx: Int = 1) throws -> Int {
        guard sizePx >= 1, tilePx >= 1, haloPx >= 0 else {
            throw QsrError.tiles(
                "cannot tile \(sizePx) px into \(tilePx) px with a halo of \(haloPx) px; choose larger tiles")
        }
        let completed = completed(sizePx, gridPx)
        let stepped = completed - 2 * haloPx
        if stepped <= tilePx { return completed }
        let count = ceilDiv(stepped, tilePx)
        return self.completed(ceilDiv(stepped, count) + 2 * haloPx, gridPx)
    }

    /// Cover an axis by spans whose cores partition it and whose windows are all of one size.
    ///
    /// - Throws: ``QsrError/tiles(_:)`` if the axis is shorter than a window, or a window has no room for a core between
    ///   two halos; or if window and halo do not fit the grid.
    static func spans(_ sizePx: Int, windowPx: Int, haloPx: Int, gridPx: Int = 1) throws -> [TileSpan] {
        let completed = completed(sizePx, gridPx)
        if completed == windowPx { return [TileSpan(window: 0..<windowPx, core: 0..<sizePx)] }
        let step = windowPx - 2 * haloPx
        guard completed >= windowPx, step >= 1, haloPx >= 0, windowPx % gridPx == 0, step % gridPx == 0 else {
            throw QsrError.tiles(
                "cannot cover \(sizePx) px by windows of \(windowPx) px and a halo of \(haloPx) px; "
                    + "convert with another --input-size, or choose a shallower depth")
        }
        let count = ceilDiv(completed - 2 * haloPx, step)
        var done = 0
        return (0..<count).map { index in
            let start = min(index * step, completed - windowPx)
            let stop = start + windowPx
            let coreStop = index == count - 1 ? sizePx : stop - haloPx
            defer { done = coreStop }
            return TileSpan(window: start..<stop, core: done..<coreStop)
        }
    }

    /// All tiles of an image, row by row; errors as ``spans(_:windowPx:haloPx:gridPx:)``.
    static func tiles(_ size: PixelSize, window: PixelSize, haloPx: Int, gridPx: Int = 1) throws -> [Tile] {
        let columns = try spans(size.widthPx, windowPx: window.widthPx, haloPx: haloPx, gridPx: gridPx)
        return try spans(size.heightPx, windowPx: window.heightPx, haloPx: haloPx, gridPx: gridPx).flatMap { row in
            columns.map { Tile(rows: row, columns: $0) }
        }
    }

    /// The pixel of an axis that stands at a position, on or beyond it, when it is continued by reflection at its last.
    static func reflected(_ positionPx: Int, sizePx: Int) -> Int {
        if sizePx == 1 { return 0 }
        let period = 2 * (sizePx - 1)
        let within = positionPx % period
        return min(within, period - within)
    }

    private static func completed(_ sizePx: Int, _ gridPx: Int) -> Int {
        ceilDiv(sizePx, gridPx) * gridPx
    }
}
