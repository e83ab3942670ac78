import Foundation
import XCTest

@testable import QsrRuntime

/// JSON, SHA-256, the golden image, errors.
final class CoreTests: XCTestCase {
    private func parse(_ text: String) throws -> Json { try Json(Array(text.utf8)) }

    func testJsonIsReadStrictly() throws {
        let value = try parse(#" {"a": [1, -2.5, 1e2, "x\u00e9\ud83d\ude00\n", true, null], "b": {}} "#)
        XCTAssertEqual(
            value,
            .object([
                "a": .array([.integer(1), .real(-2.5), .real(100), .text("x\u{E9}\u{1F600}\n"), .bool(true), .null]),
                "b": .object([:]),
            ]))
        XCTAssertEqual(try parse("1\(String(repeating: "0", count: 30))"), .vast(negative: false))
        XCTAssertEqual(try parse("4.0").int, 4)
        // A letter with its accent, and the two one after the other: equal to Swift, two keys to JSON.
        XCTAssertNoThrow(try parse("{\"\u{E9}\": 1, \"e\u{301}\": 2}"))
        let wrong = [
            "", "[1,]", "{\"a\":1,\"a\":2}", "[1] x", "NaN", "01", "1.", "-", "+1", "1e400", "\"\t\"", #""\x""#,
            #""\ud83d""#, #""\ud83d\u0041""#, #""\ude00""#, "\"abc", "{1:2}", "tru", "\u{FEFF}1",
            String(repeating: "[", count: 500), String(repeating: "1", count: 4301),
        ]
        for text in wrong {
            XCTAssertThrowsError(try parse(text), text) { XCTAssert($0 is JsonError) }
        }
        XCTAssertThrowsError(try Json([0x22, 0xFF, 0x22]))
        XCTAssertThrowsError(try Json([0x22, 0xC0, 0x80, 0x22]))
    }

    /// FIPS 180-4's and NIST's examples, and lengths around a block's.
    func testSha256() {
        let known = [
            "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            String(repeating: "a", count: 1000):
                "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3",
        ]
        for (text, digest) in known {
            XCTAssertEqual(Sha256.of(text.utf8), digest)
            var plain = PlainSha256()
            // Piece by piece.
            for piece in stride(from: 0, to: text.utf8.count, by: 37) {
                plain.update(text.utf8.dropFirst(piece).prefix(37))
            }
            XCTAssertEqual(hexadecimal(plain.finish()), digest)
        }
        // CryptoKit's, where there is one, and ours are one function.
        for count in 54...130 {
            var plain = PlainSha256()
            plain.update([UInt8](repeating: 7, count: count))
            XCTAssertEqual(hexadecimal(plain.finish()), Sha256.of([UInt8](repeating: 7, count: count)))
        }
    }

    func testTheGoldenImageIsTheReferences() throws {
        let image = GoldenInput(seed: 0, size: PixelSize(heightPx: 1, widthPx: 2)).image
        // The first numbers of SplitMix64 from 0: e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f, ...
        XCTAssertEqual(Array(image.pixels.prefix(3)), [0xE2, 0x6E, 0x06])
    }

    func testErrorsAreOneLineAndSayWhatToDo() {
        let error: any Error = QsrError.model("a: b; do c")
        XCTAssertEqual(error.localizedDescription, "a: b; do c")
        XCTAssertEqual(oneLine(" a\n b\t"), "a b")
    }

    func testImpossibleValuesAreRefused() {
        XCTAssertThrowsError(try DeviceSample(timeMs: 0, pixels: 0))
        XCTAssertThrowsError(try DeviceSample(timeMs: 0, pixels: 1, batteryPercent: 101))
        XCTAssertThrowsError(try DepthRule(name: "latency", maxDepth: 2, unknownCounts: true, charging: true))
        XCTAssertThrowsError(try DepthRule(name: "a", maxDepth: 2, unknownCounts: true))
        XCTAssertThrowsError(try SelectorState(json: "{}"))
        XCTAssertThrowsError(try SelectorState(json: "{"))
        XCTAssertThrowsError(try LatencyTable(source: "", entries: []))
        XCTAssertThrowsError(try RgbImage(size: PixelSize(heightPx: 0, widthPx: 3), pixels: []))
        XCTAssertThrowsError(try RgbImage(size: PixelSize(heightPx: 1, widthPx: 1), pixels: [1]))
        XCTAssertThrowsError(try PixelSize(heightPx: 30_000, widthPx: 30_000).times(2))
        XCTAssertThrowsError(try TilePlanner.windowSize(0, tilePx: 1, haloPx: 0))
        XCTAssertThrowsError(try TilePlanner.spans(10, windowPx: 8, haloPx: 4))
    }
}
