import Foundation

/// BT.601 luma of full-range RGB, 0.299 R + 0.587 G + 0.114 B, to the nearest level; equal channels stay what they are.
func luma(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
    UInt8((19_595 * Int(red) + 38_470 * Int(green) + 7_471 * Int(blue) + (1 << 15)) >> 16)
}

/// The opacity of a picture on its way through the network: read as a grey picture, written as the alpha of an output that
/// has its colours already. Where the network differs from bicubic interpolation by no more than its own noise, and where
/// opacity is flat, it is interpolated: opaque stays opaque. The bytes are those of `qsr_edge/runtime/windows.py`.
///
/// Holds one tile's opacity. For one task at a time, one tile after the other: ``settle(_:)``, then, if that does not,
/// ``write(row:column:_:)``.
final class OpacityPass: PixelSource, PixelSink {
    /// Reach of the interpolation's kernel: what is flat so far around stays flat.
    private static let marginPx = 2
    /// Differences up to the first are the network's noise, from the second on they count in full.
    private static let noiseLevels: Float = 1.5
    private static let signalLevels: Float = 3

    let size: PixelSize
    private let source: any PictureSource
    private let sink: any PictureSink
    private let scale: Int
    private let rows: Axis
    private let columns: Axis
    private let kernel: [[Double]]
    /// Opacity of the tile's core and the margin around it; its first row and column, and its width.
    private var plane: [UInt8] = []
    private var (top, left, width) = (0, 0, 0)
    private var line: [UInt8] = []

    /// - Parameters:
    ///   - source: the picture.
    ///   - sink: scale times as large.
    ///   - gridPx: of the network: it continues a picture to the next multiple, and so does the interpolation.
    init(_ source: any PictureSource, _ sink: any PictureSink, scale: Int, gridPx: Int) {
        (self.source, self.sink, self.scale) = (source, sink, scale)
        size = source.size
        rows = Axis(sizePx: size.heightPx, gridPx: gridPx)
        columns = Axis(sizePx: size.widthPx, gridPx: gridPx)
        kernel = (0..<scale).map { Self.weights(phase: $0, scale: scale) }
    }

    func append(row: Int, columns: Range<Int>, to rgb: inout [UInt8]) {
        line.removeAll(keepingCapacity: true)
        source.appendAlpha(row: row, columns: columns, to: &line)
        for opacity in line {
            for _ in 0..<channels { rgb.append(opacity) }
        }
    }

    /// Look at the tile that comes; whether it is flat and therefore written, and the network need not run.
    func settle(_ tile: Tile) -> Bool {
        load(tile)
        guard let level = plane.first, plane.allSatisfy({ $0 == level }) else { return false }
        let flat = [UInt8](repeating: level, count: tile.columns.core.count * scale)
        for row in tile.rows.core.lowerBound * scale..<tile.rows.core.upperBound * scale {
            sink.writeAlpha(row: row, column: tile.columns.core.lowerBound * scale, flat[...])
        }
        return true
    }

    private func load(_ tile: Tile) {
        let margin = Self.marginPx
        (top, left) = (tile.rows.core.lowerBound - margin, tile.columns.core.lowerBound - margin)
        let places = (left..<tile.columns.core.upperBound + margin).map(columns.place)
        width = places.count
        let first = places.min() ?? 0
        let stop = (places.max() ?? 0) + 1
        plane.removeAll(keepingCapacity: true)
        for row in top..<tile.rows.core.upperBound + margin {
            line.removeAll(keepingCapacity: true)
            source.appendAlpha(row: rows.place(row), columns: first..<stop, to: &line)
            for place in places { plane.append(line[place - first]) }
        }
    }

    func write(row: Int, column: Int, _ rgb: ArraySlice<UInt8>) {
        let start = (row / scale - top - Self.marginPx) * width
        let down = kernel[row % scale]
        let tall = (0..<width).map { i in
            Self.level(down.indices.reduce(0.0) { $0 + down[$1] * Double(plane[start + $1 * width + i]) })
        }
        let flat = (0..<width - 2 * Self.marginPx).map { isFlat(start + $0) }
        line.removeAll(keepingCapacity: true)
        for i in 0..<rgb.count / channels {
            let at = rgb.startIndex + i * channels
            let inner = (column + i) / scale - left - Self.marginPx
            let across = kernel[(column + i) % scale]
            let sum = across.indices.reduce(0.0) { $0 + across[$1] * Double(tall[inner + $1]) }
            let interpolated = Self.level(sum)
            let made = luma(rgb[at], rgb[at + 1], rgb[at + 2])
            line.append(flat[inner] ? interpolated : Self.corrected(interpolated, made))
        }
        sink.writeAlpha(row: row, column: column, line[...])
    }

    private func isFlat(_ corner: Int) -> Bool {
        let level = plane[corner]
        return (0...2 * Self.marginPx).allSatisfy { row in
            (0...2 * Self.marginPx).allSatisfy { plane[corner + row * width + $0] == level }
        }
    }

    /// What stands at a position beyond an axis: first mirrored at the completed axis' edge, then reflected to the picture.
    private struct Axis {
        let sizePx: Int
        let completedPx: Int

        init(sizePx: Int, gridPx: Int) {
            self.sizePx = sizePx
            completedPx = ceilDiv(sizePx, gridPx) * gridPx
        }

        func place(_ positionPx: Int) -> Int {
            let period = 2 * completedPx
            let within = (positionPx % period + period) % period
            return TilePlanner.reflected(min(within, period - 1 - within), sizePx: sizePx)
        }
    }

    /// Weights of the pixels from two before to two behind, for one of the pixels that come of one along an axis.
    private static func weights(phase: Int, scale: Int) -> [Double] {
        let centre = (Double(phase) + 0.5) / Double(scale) - 0.5
        let weights = (-marginPx...marginPx).map { keysCubic(abs(centre - Double($0))) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    /// Keys' cubic convolution with a = -0.5 (R. Keys, 1981).
    private static func keysCubic(_ x: Double) -> Double {
        if x <= 1 { return 1.5 * x * x * x - 2.5 * x * x + 1 }
        if x <= 2 { return -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 }
        return 0
    }

    /// Half up, as the reference; the sum may land a few ulp below a half that is exact in real arithmetic.
    private static func level(_ sum: Double) -> UInt8 { UInt8(min(max((sum + 0.5 + 1e-9).rounded(.down), 0), 255)) }

    private static func corrected(_ interpolated: UInt8, _ made: UInt8) -> UInt8 {
        let difference = Float(made) - Float(interpolated)
        let share = min(max((abs(difference) - noiseLevels) / (signalLevels - noiseLevels), 0), 1)
        let level = (difference * share + Float(interpolated)).rounded(.toNearestOrEven)
        return UInt8(min(max(level, 0), 255))
    }
}
