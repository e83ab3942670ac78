import Foundation
import XCTest

@testable import QsrRuntime

/// `tests/vectors` of this checkout; the variable names another folder.
let vectorsFolder: URL = {
    if let given = ProcessInfo.processInfo.environment["QSR_VECTORS"] { return URL(fileURLWithPath: given) }
    return URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../tests/vectors").standardized
}()

/// Agreement with the Python reference on every vector of `tests/vectors`.
final class VectorTests: XCTestCase {
    private func lines(_ name: String) throws -> [Json] {
        let content = [UInt8](try Data(contentsOf: vectorsFolder.appendingPathComponent(name)))
        return try content.split(separator: UInt8(ascii: "\n")).map { try Json(Array($0)) }
    }

    private func ints(_ json: Json) throws -> [Int] {
        try XCTUnwrap(json.array).map { try XCTUnwrap($0.int) }
    }

    func testEveryDecisionIsTheReferences() throws {
        var samples = 0
        var restarts = 0
        let files = try FileManager.default.contentsOfDirectory(atPath: vectorsFolder.path + "/selector").sorted()
        for file in files {
            let lines = try lines("selector/\(file)")
            let policy = try DepthPolicy(XCTUnwrap(lines[0]["policy"]))
            let selector = try DepthSelector(policy: policy, table: LatencyTable(XCTUnwrap(lines[0]["table"])))
            var state: SelectorState?
            for (number, line) in lines.enumerated().dropFirst() {
                if line == .text("restart") {
                    restarts += 1
                    state = try SelectorState(json: XCTUnwrap(state).json)
                    continue
                }
                let entry = try XCTUnwrap(line.array)
                let decision = try selector.step(state, DeviceSample(entry[0]))
                let place = "\(file):\(number + 1)"
                XCTAssertEqual(decision.state, try SelectorState(entry[1]), place)
                XCTAssertEqual(decision.reasons, try XCTUnwrap(entry[2].array).map(\.text), place)
                state = decision.state
                samples += 1
            }
        }
        print("selector: \(samples) samples, \(restarts) restarts")
        XCTAssertGreaterThanOrEqual(samples, 12_800)
        XCTAssertGreaterThanOrEqual(restarts, 100)
    }

    func testEveryTrackedRatioIsTheReferences() throws {
        let lines = try lines("tracker.jsonl")
        let table = try LatencyTable(XCTUnwrap(lines[0]["table"]))
        var tracker = LatencyTracker()
        for line in lines.dropFirst() {
            let entry = try XCTUnwrap(line.array)
            let values = try ints(.array(Array(entry.prefix(3))))
            try tracker.observe(table, depth: values[0], pixels: values[1], latencyUs: values[2])
            XCTAssertEqual(tracker.ratioMilli, entry[3].int, "\(line)")
        }
        print("tracker: \(lines.count - 1) observations")
        XCTAssertGreaterThanOrEqual(lines.count, 1001)
    }

    func testEveryTileIsTheReferences() throws {
        let lines = try lines("tiles.jsonl")
        var count = 0
        for line in lines {
            let entry = try XCTUnwrap(line.array)
            let (size, window) = (try ints(entry[0]), try ints(entry[4]))
            let (tile, halo, grid) = (entry[1].int ?? 0, entry[2].int ?? 0, entry[3].int ?? 0)
            let planned = try size.map {
                try TilePlanner.windowSize($0, tilePx: tile, haloPx: halo, gridPx: grid)
            }
            XCTAssertEqual(planned, window, "\(line)")
            let axes = try [entry[5], entry[6]].map { axis in
                try XCTUnwrap(axis.array).map { span in
                    let edges = try ints(span)
                    return TileSpan(window: edges[0]..<edges[1], core: edges[2]..<edges[3])
                }
            }
            let expected = axes[0].flatMap { row in axes[1].map { Tile(rows: row, columns: $0) } }
            let tiles = try TilePlanner.tiles(
                PixelSize(heightPx: size[0], widthPx: size[1]),
                window: PixelSize(heightPx: window[0], widthPx: window[1]), haloPx: halo, gridPx: grid)
            XCTAssertEqual(tiles, expected, "\(line)")
            count += tiles.count
        }
        print("tiles: \(lines.count) images, \(count) tiles")
        XCTAssertEqual(lines.count, 1000)
    }

    func testEveryManifestIsJudgedAsByTheReference() throws {
        let lines = try lines("manifests.jsonl")
        var accepted = 0
        for line in lines {
            let content: [UInt8]
            if let text = line["text"]?.text {
                content = Array(text.utf8)
            } else {
                content = [UInt8](try XCTUnwrap(line["base64"]?.text.flatMap { Data(base64Encoded: $0) }))
            }
            var error: QsrError?
            do {
                _ = try BundleManifest(content)
                accepted += 1
            } catch let found as QsrError {
                error = found
            }
            let why = "\(line["why"]?.text ?? ""): \(error?.description ?? "accepted")"
            XCTAssertEqual(error == nil, line["accept"]?.bool, why)
        }
        let whole = try BundleManifest(Array(XCTUnwrap(lines[0]["text"]?.text).utf8))
        XCTAssertEqual(whole.depths.map(\.grid), [TileGrid(stepPx: 8, haloPx: 12), nil])
        XCTAssertEqual(whole.moreSizes, [PixelSize(heightPx: 24, widthPx: 40)])
        print("manifests: \(lines.count), \(accepted) accepted")
        XCTAssertGreaterThanOrEqual(lines.count, 230)
    }
}
