import Foundation
import XCTest

@testable import QsrRuntime

/// Pictures with alpha and grey ones: the bytes of the Python package on every vector of `tests/vectors/pictures.jsonl`.
final class PictureTests: XCTestCase {
    func testWhatTheNetworkSeesIsTheReferences() throws {
        var filled = 0
        for vector in try Vector.all() {
            let picture = vector.picture
            if picture.alphas.allSatisfy({ $0 == 0 }) || !picture.alphas.contains(0) { continue }
            let (height, width) = (picture.size.heightPx, picture.size.widthPx)
            // In blocks that cut the pyramid anywhere, and by windows of part of the width.
            for (blockRows, step) in [(64, width), (5, width), (16, 10), (1, 3)] {
                let source = HiddenColours(picture, blockRows: blockRows)
                let found = try RgbSink(picture.size)
                for left in stride(from: 0, to: width, by: step) {
                    for row in 0..<height {
                        var line: [UInt8] = []
                        source.append(row: row, columns: left..<min(left + step, width), to: &line)
                        found.write(row: row, column: left, line[...])
                    }
                }
                XCTAssertEqual(found.image.pixels, vector.seen, "\(vector.why), blocks of \(blockRows) x \(step)")
            }
            filled += 1
        }
        XCTAssertGreaterThanOrEqual(filled, 30)
    }

    func testEveryPictureIsTheReferences() async throws {
        var compared = 0
        for vector in try Vector.all() {
            guard let expected = vector.upscaled else { continue }
            let found = try await Upscaled(vector, vector.picture).argb
            XCTAssertEqual(found, expected, "\(vector.why), \(vector.picture.size), x\(vector.scale), \(vector.grid)")
            compared += 1
        }
        print("pictures: \(compared)")
        XCTAssertGreaterThanOrEqual(compared, 63)
    }

    func testAlphaTakesTheNetworkOnlyWhereItIsNotFlat() async throws {
        let all = try Vector.all()
        let vector = try XCTUnwrap(all.first { $0.upscaled != nil && $0.grid == 1 && $0.scale == 2 })
        func upscaled(_ alpha: (Int) -> UInt8) async throws -> Upscaled {
            var pixels: [UInt8] = []
            for i in 0..<21 * 60 {
                pixels.append(alpha(i % 60))
                for shift in [0, 8, 16] { pixels.append(UInt8(truncatingIfNeeded: (7 * i) >> shift)) }
            }
            return try await Upscaled(vector, ArgbPicture(size: PixelSize(heightPx: 21, widthPx: 60), argb: pixels))
        }
        let opaque = try await upscaled { _ in 255 }
        let veiled = try await upscaled { _ in 128 }
        let edge = try await upscaled { $0 < 30 ? 255 : 10 }
        XCTAssertGreaterThan(opaque.runs, 12)
        XCTAssertEqual(veiled.runs, opaque.runs)
        XCTAssertTrue(stride(from: 0, to: veiled.argb.count, by: 4).allSatisfy { veiled.argb[$0] == 128 })
        XCTAssertTrue(edge.runs > opaque.runs && edge.runs < 2 * opaque.runs, "\(edge.runs) of \(opaque.runs)")
        XCTAssertEqual(
            opaque.progress, (1...opaque.runs).map { TileProgress(done: $0, total: opaque.runs) })
        XCTAssertEqual(
            edge.progress, (1...2 * opaque.runs).map { TileProgress(done: $0, total: 2 * opaque.runs) })
    }
}

/// A picture, what the network is shown of it, and what a network makes of it.
private struct Vector {
    let why: String
    let picture: ArgbPicture
    let seen: [UInt8]
    let (scale, halo, grid, tile): (Int, Int, Int, Int)
    let upscaled: [UInt8]?

    static func all() throws -> [Vector] {
        let content = try Data(contentsOf: vectorsFolder.appendingPathComponent("pictures.jsonl"))
        return try content.split(separator: UInt8(ascii: "\n")).map { try Vector(Json([UInt8]($0))) }
    }

    private init(_ json: Json) throws {
        func bytes(_ key: String) -> [UInt8]? {
            json[key]?.text.flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) }
        }
        let size = try XCTUnwrap(json["size"]?.array?.compactMap(\.int))
        picture = ArgbPicture(
            size: PixelSize(heightPx: size[0], widthPx: size[1]), argb: try XCTUnwrap(bytes("argb")))
        why = try XCTUnwrap(json["why"]?.text)
        seen = try XCTUnwrap(bytes("seen"))
        upscaled = bytes("upscaled")
        let numbers = ["scale", "halo", "grid", "tile"].map { json[$0]?.int ?? 0 }
        (scale, halo, grid, tile) = (numbers[0], numbers[1], numbers[2], numbers[3])
    }
}

/// What became of a picture.
private struct Upscaled {
    let argb: [UInt8]
    let runs: Int
    let progress: [TileProgress]

    init(_ vector: Vector, _ picture: ArgbPicture) async throws {
        let model = Sharpener(scale: vector.scale)
        let spec = ModelSpec(
            file: URL(fileURLWithPath: "/"), listed: [], depth: 1, signature: nil, scale: vector.scale, sizes: [],
            computeUnits: nil, kernels: nil)
        let tiles = TiledUpscaling(model, spec, haloPx: vector.halo, gridPx: vector.grid, largestSidePx: nil)
        let sink = ArgbSink(try picture.size.times(vector.scale))
        var progress: [TileProgress] = []
        _ = try await tiles.run(
            picture: picture, sink, tilePx: vector.tile, check: {}, progress: { progress.append($0) })
        (argb, runs, self.progress) = (sink.argb, model.runs, progress)
    }
}

private struct ArgbPicture: PictureSource {
    let size: PixelSize
    let argb: [UInt8]

    var alphas: [UInt8] { stride(from: 0, to: argb.count, by: 4).map { argb[$0] } }

    func append(row: Int, columns: Range<Int>, to rgb: inout [UInt8]) {
        for column in columns {
            let pixel = 4 * (row * size.widthPx + column)
            rgb += argb[pixel + 1..<pixel + 4]
        }
    }

    func appendAlpha(row: Int, columns: Range<Int>, to alpha: inout [UInt8]) {
        for column in columns { alpha.append(argb[4 * (row * size.widthPx + column)]) }
    }
}

private final class ArgbSink: PictureSink {
    private let size: PixelSize
    private(set) var argb: [UInt8]

    init(_ size: PixelSize) {
        self.size = size
        argb = [UInt8](repeating: 0, count: 4 * size.heightPx * size.widthPx)
    }

    func write(row: Int, column: Int, _ rgb: ArraySlice<UInt8>) {
        for (i, level) in rgb.enumerated() {
            let pixel = 4 * (row * size.widthPx + column + i / 3)
            argb[pixel] = 255
            argb[pixel + 1 + i % 3] = level
        }
    }

    func writeAlpha(row: Int, column: Int, _ alpha: ArraySlice<UInt8>) {
        for (i, value) in alpha.enumerated() { argb[4 * (row * size.widthPx + column + i)] = value }
    }
}

/// `Sharpener` of `tests/vectors/make.py`; counts its runs.
private final class Sharpener: LoadedModel, @unchecked Sendable {
    let scale: Int
    var runs = 0

    init(scale: Int) { self.scale = scale }

    func makeWindow(_ size: PixelSize) -> any ModelWindow { Window(self, size) }

    private final class Window: ModelWindow, @unchecked Sendable {
        private let model: Sharpener
        private let size: PixelSize
        private var input: [UInt8] = []

        init(_ model: Sharpener, _ size: PixelSize) { (self.model, self.size) = (model, size) }

        func fill(_ rgb: [UInt8]) { input = rgb }

        func run() async { model.runs += 1 }

        func read() -> [UInt8] {
            let (height, width, scale) = (size.heightPx, size.widthPx, model.scale)
            func level(_ row: Int, _ column: Int, _ channel: Int) -> Int {
                guard 0..<height ~= row, 0..<width ~= column else { return 0 }
                return Int(input[(row * width + column) * 3 + channel])
            }
            var output: [UInt8] = []
            for row in 0..<scale * height {
                for column in 0..<scale * width {
                    let (y, x) = (row / scale, column / scale)
                    for channel in 0..<3 {
                        let own = level(y, x, channel)
                        let sides = level(y, x - 1, channel) + level(y, x + 1, channel)
                        let detail = 4 * own - level(y - 1, x, channel) - level(y + 1, x, channel) - sides
                        let share = 1 + (row % scale * scale + column % scale + channel) % 3
                        output.append(UInt8(clamping: own + ((detail * share) >> 4) + channel - 1))
                    }
                }
            }
            return output
        }
    }
}
