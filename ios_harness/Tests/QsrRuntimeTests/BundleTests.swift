import Foundation
import XCTest

@testable import QsrRuntime

/// Bundles on disk, installed, zipped and damaged. `Tests/make_fixtures.py` wrote the whole ones.
final class BundleTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("qsr-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    private var storage: URL { folder.appendingPathComponent("storage") }

    private func copyOfBundle(_ name: String = "exact") throws -> URL {
        let copy = folder.appendingPathComponent("bundle")
        try FileManager.default.copyItem(at: Fixtures.url(name), to: copy)
        return copy
    }

    private func names(_ folder: URL) -> Set<String> {
        Set((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
    }

    private func modelFile(_ bundle: URL) throws -> URL {
        let manifest = try QsrBundle(at: bundle).manifest
        return bundle.appendingPathComponent(try XCTUnwrap(manifest.listed(under: manifest.depths[0].file).first).path)
    }

    /// What the work throws, which must be of this package.
    private func refusal(_ work: () throws -> Void) -> QsrError? {
        do {
            try work()
            XCTFail("was not refused")
        } catch {
            XCTAssert(error is QsrError, "\(error)")
            return error as? QsrError
        }
        return nil
    }

    private func assertRefused(_ words: String, _ work: () throws -> Void, line: UInt = #line) {
        let text = refusal(work)?.description ?? ""
        XCTAssert(text.contains(words), text, line: line)
        XCTAssertFalse(text.contains("\n"), text, line: line)
    }

    func testAWholeBundleOpens() throws {
        let bundle = try QsrBundle(at: Fixtures.url("exact"))
        XCTAssertEqual(bundle.manifest.target, "coreml")
        XCTAssertEqual(bundle.manifest.depths.map(\.depth), [2, 4, 8])
        XCTAssertEqual(bundle.manifest.computeUnits, "CPU and GPU")
        XCTAssertTrue(bundle.manifest.isByteExact)
        let shared = try QsrBundle(at: Fixtures.url("shared")).manifest
        XCTAssertEqual(shared.depths.map(\.signature), ["d2", "d4", "d8"])
        XCTAssertEqual(shared.inputSize, PixelSize(heightPx: 40, widthPx: 48))
        XCTAssertFalse(try QsrBundle(at: Fixtures.url("ane")).manifest.isByteExact)
    }

    func testHashesAreCheckedOnceForAFolder() throws {
        let bundle = try copyOfBundle()
        let marks = folder.appendingPathComponent("marks")
        _ = try QsrBundle(at: bundle, marks: marks)
        // The same size but another hash: noticed only where no mark says that this very file was checked.
        let model = try modelFile(bundle)
        let attributes = try FileManager.default.attributesOfItem(atPath: model.path)
        let time = try XCTUnwrap(attributes[.modificationDate] as? Date)
        var content = try Data(contentsOf: model)
        content[content.count / 2] ^= 1
        try content.write(to: model)
        try FileManager.default.setAttributes([.modificationDate: time + 5], ofItemAtPath: model.path)
        assertRefused("sha256") { _ = try QsrBundle(at: bundle, marks: marks) }
        assertRefused("sha256") { _ = try QsrBundle(at: bundle) }
        content.append(0)
        try content.write(to: model)
        assertRefused("bytes, expected") { _ = try QsrBundle(at: bundle, marks: marks) }
        try FileManager.default.removeItem(at: model)
        assertRefused("missing") { _ = try QsrBundle(at: bundle, marks: marks) }
    }

    func testWhatIsNoBundleIsRefused() throws {
        assertRefused("not a bundle") { _ = try QsrBundle(at: folder) }
        assertRefused("not a bundle") { _ = try QsrBundle(at: folder.appendingPathComponent("none")) }
        assertRefused("not among the app's resources") { _ = try QsrBundle(resource: "none", of: .main) }
        assertRefused("no such file") {
            _ = try QsrBundle(unzipping: folder.appendingPathComponent("x"), into: storage)
        }
        let bundle = try copyOfBundle()
        let model = try modelFile(bundle)
        let outside = folder.appendingPathComponent("outside")
        try FileManager.default.moveItem(at: model, to: outside)
        try FileManager.default.createSymbolicLink(at: model, withDestinationURL: outside)
        assertRefused("a link that leaves the bundle") { _ = try QsrBundle(at: bundle) }
        XCTAssertThrowsError(try QsrBundle(at: Fixtures.url("exact")).manifest.depthEntry(3)) { error in
            XCTAssert("\(error)".contains("has no depth 3, only [2, 4, 8]"))
        }
    }

    func testABundleIsInstalledOnce() throws {
        let source = Recorded(FolderSource(Fixtures.url("exact")))
        let first = try QsrBundle(installing: source, into: storage)
        XCTAssertEqual(source.opened.count, 1 + first.manifest.files.count)
        source.opened = []
        XCTAssertEqual(try QsrBundle(installing: source, into: storage).root, first.root)
        XCTAssertEqual(source.opened, ["manifest.json"])
        // What is not whole is installed again.
        try FileManager.default.removeItem(at: first.root.appendingPathComponent(first.manifest.files[0].path))
        _ = try QsrBundle(installing: source, into: storage)
        _ = try QsrBundle(at: first.root)
        // A later release of the app brings another bundle.
        let second = try QsrBundle(copying: Fixtures.url("shared"), into: storage)
        XCTAssertEqual(names(storage).count, 2)
        QsrBundle.removeOthers(in: storage, keeping: [second])
        XCTAssertEqual(names(storage), [second.root.lastPathComponent])
    }

    func testNothingHalfInstalledIsLeft() throws {
        struct NoSpace: LocalizedError { let errorDescription: String? = "No space left on device" }
        let whole = FolderSource(Fixtures.url("exact"))
        let last = try XCTUnwrap(QsrBundle(at: Fixtures.url("exact")).manifest.files.last).path
        let failing = Recorded(whole) { if $0 == last { throw NoSpace() } }
        assertRefused("No space left on device") { _ = try QsrBundle(installing: failing, into: storage) }
        let lacking = Recorded(whole, without: last)
        assertRefused("missing, but listed") { _ = try QsrBundle(installing: lacking, into: storage) }
        assertRefused("not a bundle") {
            _ = try QsrBundle(installing: Recorded(whole, without: "manifest.json"), into: storage)
        }
        XCTAssertEqual(names(storage), [])
        // A file where the folder is to be.
        let blocked = folder.appendingPathComponent("blocked")
        try Data().write(to: blocked)
        assertRefused("cannot be installed") { _ = try QsrBundle(installing: whole, into: blocked) }
        // What a killed process left goes when the next bundle is installed, unless it may still be at work.
        for (name, age) in [(".old.tmp", 3600.0), (".young.tmp", 0)] {
            let left = storage.appendingPathComponent(name)
            try FileManager.default.createDirectory(at: left, withIntermediateDirectories: true)
            let time = Date(timeIntervalSinceNow: -age)
            try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: left.path)
        }
        _ = try QsrBundle(installing: whole, into: storage)
        XCTAssertFalse(names(storage).contains(".old.tmp"))
        XCTAssertTrue(names(storage).contains(".young.tmp"))
    }

    func testWhatAnotherProcessInstalledMeanwhileIsUsed() throws {
        let whole = FolderSource(Fixtures.url("exact"))
        let winner = try QsrBundle(installing: whole, into: folder.appendingPathComponent("other")).root
        let target = storage.appendingPathComponent(winner.lastPathComponent)
        let last = try XCTUnwrap(QsrBundle(at: winner).manifest.files.last).path
        let slow = Recorded(whole) { path in
            if path == last { try FileManager.default.copyItem(at: winner, to: target) }
        }
        XCTAssertEqual(try QsrBundle(installing: slow, into: storage).root.path, target.path)
        XCTAssertEqual(names(storage), [target.lastPathComponent])
    }

    func testZipsAreInstalled() throws {
        let plain = try QsrBundle(copying: Fixtures.url("exact"), into: storage)
        for name in ["exact.zip", "stored.zip"] {
            let place = folder.appendingPathComponent("of-\(name)")
            let found = try QsrBundle(unzipping: Fixtures.url(name), into: place)
            XCTAssertEqual(found.root.lastPathComponent, plain.root.lastPathComponent)
            _ = try QsrBundle(at: found.root)
            XCTAssertEqual(names(place).count, 1)
        }
    }

    func testDamagedZipsNeverInstallAnythingElse() throws {
        var random = SplitMix(state: 6)
        var refused = 0
        let rounds = 60
        let whole = try ["exact.zip", "stored.zip"].map { try Data(contentsOf: Fixtures.url($0)) }
        for round in 0..<rounds {
            var damaged = whole[round % 2]
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                // Half of the damage where the archive's own structure is.
                let start = Bool.random(using: &random) ? damaged.count - 1500 : 0
                damaged[Int.random(in: start..<damaged.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            if Int.random(in: 0..<5, using: &random) == 0 {
                damaged = damaged.prefix(Int.random(in: 0..<damaged.count, using: &random))
            }
            let archive = folder.appendingPathComponent("damaged.zip")
            try damaged.write(to: archive)
            let place = folder.appendingPathComponent("round-\(round)")
            do {
                // Every listed file has its hash, or it is refused.
                _ = try QsrBundle(at: QsrBundle(unzipping: archive, into: place).root)
            } catch let error as QsrError {
                refused += 1
                XCTAssertFalse(error.description.isEmpty)
                XCTAssertEqual(names(place), [])
            }
        }
        print("damaged zips: \(refused) of \(rounds) refused, the others gave the same files")
        XCTAssertGreaterThan(refused, rounds / 2)
    }
}

/// What `Tests/make_fixtures.py` wrote.
enum Fixtures {
    static func url(_ name: String) -> URL {
        URL(fileURLWithPath: #filePath).appendingPathComponent("../../../.build/fixtures/\(name)").standardized
    }
}

private final class Recorded: BundleSource {
    private let source: FolderSource
    private let missing: String?
    private let happen: (String) throws -> Void
    var opened: [String] = []

    init(_ source: FolderSource, without missing: String? = nil, _ happen: @escaping (String) throws -> Void = { _ in })
    {
        (self.source, self.missing, self.happen) = (source, missing, happen)
    }

    func open(_ path: String) throws -> (any ByteReader)? {
        opened.append(path)
        try happen(path)
        return path == missing ? nil : try source.open(path)
    }
}

/// SplitMix64, so that a failure comes again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
