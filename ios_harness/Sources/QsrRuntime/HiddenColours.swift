/// A picture's colours as the network is to see them: under fully transparent pixels stand visible colours from nearby
/// instead of those that the file happens to keep there. No visible pixel is changed.
///
/// The bytes are those of `bled_colours` of the Python package: holes are filled from a pyramid of averages, by the finest
/// level that has a visible pixel there, and smoothed by two rounds of averaging with the four neighbours, level by level.
/// The coarse levels are held, up to half a byte for each pixel of the picture while they are filled; the fine ones are
/// computed anew for each block that is read. For one task at a time.
final class HiddenColours: PixelSource {
    private static let blockRows = 64
    private static let smoothingRounds = 2
    /// The finest level that is kept whole: a 64th of the picture's pixels.
    private static let keptLevel = 3

    let size: PixelSize
    private let picture: any PictureSource
    private let blockRows: Int
    /// Sizes of the pyramid's levels, down to one pixel.
    private let sizes: [PixelSize]
    private let keptLevel: Int
    private var kept = Region(Part(rows: 0..<0, columns: 0..<0))
    private var part = Part(rows: 0..<0, columns: 0..<0)
    private var block = Region(Part(rows: 0..<0, columns: 0..<0))

    /// - Parameters:
    ///   - picture: with at least one visible pixel.
    ///   - blockRows: rows that are filled at once.
    init(_ picture: any PictureSource, blockRows: Int = HiddenColours.blockRows) {
        (self.picture, self.blockRows) = (picture, blockRows)
        size = picture.size
        var sizes = [picture.size]
        while let last = sizes.last, last != PixelSize(heightPx: 1, widthPx: 1) {
            sizes.append(PixelSize(heightPx: (last.heightPx + 1) / 2, widthPx: (last.widthPx + 1) / 2))
        }
        self.sizes = sizes
        keptLevel = min(Self.keptLevel, sizes.count - 1)
        var measured = measuredWhole(keptLevel)
        fillWhole(keptLevel, &measured)
        kept = measured
    }

    func append(row: Int, columns: Range<Int>, to rgb: inout [UInt8]) {
        if !part.rows.contains(row) || !part.columns.contains(all: columns) {
            let top = row - row % blockRows
            part = Part(rows: top..<min(top + blockRows, size.heightPx), columns: columns)
            block = filled(0, part)
        }
        let start = block.part.at(row, columns.lowerBound) * channels
        // To the nearest level, to the even one of two: the colour of a visible pixel is whole already.
        for i in start..<start + columns.count * channels {
            rgb.append(UInt8(block.colours[i].rounded(.toNearestOrEven)))
        }
    }

    /// A part of a level.
    private struct Part {
        let rows: Range<Int>
        let columns: Range<Int>

        func at(_ row: Int, _ column: Int) -> Int {
            (row - rows.lowerBound) * columns.count + column - columns.lowerBound
        }

        /// So many pixels more on every side, within the level.
        func grown(_ by: Int, _ level: PixelSize) -> Part {
            Part(
                rows: max(0, rows.lowerBound - by)..<min(level.heightPx, rows.upperBound + by),
                columns: max(0, columns.lowerBound - by)..<min(level.widthPx, columns.upperBound + by))
        }

        /// The pixels of the next finer level that make these.
        func finer(_ level: PixelSize) -> Part {
            Part(
                rows: 2 * rows.lowerBound..<min(2 * rows.upperBound, level.heightPx),
                columns: 2 * columns.lowerBound..<min(2 * columns.upperBound, level.widthPx))
        }

        /// The pixels of the next coarser level that these make.
        var coarser: Part {
            Part(
                rows: rows.lowerBound / 2..<(rows.upperBound + 1) / 2,
                columns: columns.lowerBound / 2..<(columns.upperBound + 1) / 2)
        }
    }

    /// The pixels of a part; black and without weight when it is made.
    private struct Region {
        let part: Part
        /// 0 where no visible pixel is; the opacity in the picture itself, 1 in coarser levels.
        var weights: [Float]
        var colours: [Float]

        init(_ part: Part) {
            self.part = part
            weights = [Float](repeating: 0, count: part.rows.count * part.columns.count)
            colours = [Float](repeating: 0, count: weights.count * channels)
        }

        var hasHoles: Bool { weights.contains(0) }
    }

    private func whole(_ level: Int) -> Part {
        Part(rows: 0..<sizes[level].heightPx, columns: 0..<sizes[level].widthPx)
    }

    /// The averages of a part of a level, holes left open.
    private func measured(_ level: Int, _ part: Part) -> Region {
        if level > 0 { return Self.average(measured(level - 1, part.finer(sizes[level - 1])), part) }
        var region = Region(part)
        var rgb: [UInt8] = []
        var alphas: [UInt8] = []
        for row in part.rows {
            rgb.removeAll(keepingCapacity: true)
            alphas.removeAll(keepingCapacity: true)
            picture.append(row: row, columns: part.columns, to: &rgb)
            picture.appendAlpha(row: row, columns: part.columns, to: &alphas)
            let start = part.at(row, part.columns.lowerBound)
            for (i, alpha) in alphas.enumerated() { region.weights[start + i] = Float(alpha) }
            for (i, level) in rgb.enumerated() { region.colours[start * channels + i] = Float(level) }
        }
        return region
    }

    /// A part of a level of what makes it.
    private static func average(_ fine: Region, _ part: Part) -> Region {
        var coarse = Region(part)
        let (rows, columns) = (fine.part.rows, fine.part.columns)
        for row in part.rows {
            for column in part.columns {
                // Two rows first, then two columns, as the reference: the order of a sum decides its last bit.
                func sum(_ value: (Int) -> Float) -> Float {
                    func pair(_ x: Int) -> Float {
                        if !columns.contains(x) { return 0 }
                        let upper = rows.contains(2 * row) ? value(fine.part.at(2 * row, x)) : 0
                        return upper + (rows.contains(2 * row + 1) ? value(fine.part.at(2 * row + 1, x)) : 0)
                    }
                    return pair(2 * column) + pair(2 * column + 1)
                }
                let weight = sum { fine.weights[$0] }
                if weight == 0 { continue }
                let into = part.at(row, column)
                coarse.weights[into] = 1
                for channel in 0..<channels {
                    let colour = sum { fine.colours[$0 * channels + channel] * fine.weights[$0] }
                    coarse.colours[into * channels + channel] = colour / weight
                }
            }
        }
        return coarse
    }

    /// All of a level, measured some rows at a time.
    private func measuredWhole(_ level: Int) -> Region {
        var all = Region(whole(level))
        let step = Self.blockRows >> level
        for top in stride(from: 0, to: all.part.rows.count, by: step) {
            let rows = top..<min(top + step, all.part.rows.count)
            let piece = measured(level, Part(rows: rows, columns: all.part.columns))
            let start = all.part.at(top, 0)
            all.weights.replaceSubrange(start..<start + piece.weights.count, with: piece.weights)
            all.colours.replaceSubrange(
                start * channels..<start * channels + piece.colours.count, with: piece.colours)
        }
        return all
    }

    private func fillWhole(_ level: Int, _ region: inout Region) {
        if !region.hasHoles { return }
        var coarse = Self.average(region, whole(level + 1))
        fillWhole(level + 1, &coarse)
        fill(level, &region, coarse, region.part)
    }

    /// A part of a level with its holes filled; what it holds around that may be unfinished.
    private func filled(_ level: Int, _ part: Part) -> Region {
        if level == keptLevel { return kept }
        var region = measured(level, part.grown(Self.smoothingRounds, sizes[level]))
        if region.hasHoles { fill(level, &region, filled(level + 1, region.part.coarser), part) }
        return region
    }

    /// Fill a region's holes from the filled level below. Right within `wanted`; what is around it serves the smoothing.
    private func fill(_ level: Int, _ region: inout Region, _ coarse: Region, _ wanted: Part) {
        for row in region.part.rows {
            for column in region.part.columns {
                let at = region.part.at(row, column)
                if region.weights[at] != 0 { continue }
                let from = coarse.part.at(row / 2, column / 2) * channels
                for channel in 0..<channels {
                    region.colours[at * channels + channel] = coarse.colours[from + channel]
                }
            }
        }
        for round in 1...Self.smoothingRounds {
            smooth(&region, wanted.grown(Self.smoothingRounds - round, sizes[level]), within: sizes[level])
        }
    }

    private func smooth(_ region: inout Region, _ part: Part, within size: PixelSize) {
        let old = region.colours
        for row in part.rows {
            for column in part.columns {
                let at = region.part.at(row, column)
                if region.weights[at] != 0 { continue }
                let above = region.part.at(max(row - 1, 0), column) * channels
                let below = region.part.at(min(row + 1, size.heightPx - 1), column) * channels
                let left = region.part.at(row, max(column - 1, 0)) * channels
                let right = region.part.at(row, min(column + 1, size.widthPx - 1)) * channels
                for channel in 0..<channels {
                    let sum = old[above + channel] + old[below + channel] + old[left + channel] + old[right + channel]
                    region.colours[at * channels + channel] = sum / 4
                }
            }
        }
    }
}

extension Range<Int> {
    fileprivate func contains(all other: Range<Int>) -> Bool {
        other.lowerBound >= lowerBound && other.upperBound <= upperBound
    }
}
