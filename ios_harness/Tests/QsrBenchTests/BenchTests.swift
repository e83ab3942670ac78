import Foundation
import XCTest

@testable import QsrBench
@testable import QsrCoreML
@testable import QsrRuntime

/// Jobs, results, the agent and its screen.
final class BenchTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("qsr-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    private func job(_ changes: [String: Any?] = [:], variant: [String: Any] = [:]) throws -> [UInt8] {
        var values: [String: Any] = [
            "protocol": 1, "run": "r1", "part": 1, "results": "/qsr-edge-r1/results-1.jsonl",
            "outputs": "/qsr-edge-r1/outputs", "queries": 3, "steady_ms": 1, "round_ms": 1, "warm_up_ms": 1,
            "sustained_ms": 20,
            "images": [["name": "noise", "path": "/qsr-edge-r1/images/0.rgb", "height_px": 40, "width_px": 56]],
            "variants": [
                [
                    "label": "depth 2", "bundle": "/qsr-edge-r1/bundle-0", "depth": 2, "kernels": "coreml",
                    "threads": 1,
                    "height_px": 12, "width_px": 16, "check_golden": true,
                ].merging(variant) { $1 }
            ],
        ]
        for (key, value) in changes { values[key] = value }
        return [UInt8](try JSONSerialization.data(withJSONObject: values))
    }

    private func refusal(_ content: [UInt8]) -> String {
        do {
            _ = try Job(content)
            return "accepted"
        } catch {
            return "\((error as? JobError)?.message ?? "another error: \(error)")"
        }
    }

    func testJobsAreReadStrictly() throws {
        let read = try Job(job(["gate": ["max_thermal_status": 2, "max_wait_ms": 1000]]))
        XCTAssertEqual(read.gate, Gate(maxThermalStatus: 2, maxTemperatureMc: nil, maxWaitMs: 1000))
        XCTAssertEqual(read.variants[0].size, PixelSize(heightPx: 12, widthPx: 16))
        XCTAssertEqual(read.variants[0].done, Done())
        let wrong: [(String, [UInt8])] = [
            ("no JSON", Array("{".utf8)), ("is no object", Array("[]".utf8)),
            ("protocol 2, expected 1", try job(["protocol": 2])),
            ("'run' is not", try job(["run": "a/b"])), ("'queries' is not", try job(["queries": 0])),
            ("'queries' is missing", try job(["queries": nil])),
            ("'results' is not an absolute path", try job(["results": "x"])),
            ("the key 'later' is not known", try job(["later": 1])), ("has no variants", try job(["variants": []])),
            ("'depth' is not", try job(variant: ["depth": 65])),
            ("the key 'gpu' is not known", try job(variant: ["gpu": true])),
            ("'max_wait_ms' is missing", try job(["gate": ["max_thermal_status": 2]])),
        ]
        for (words, content) in wrong { XCTAssert(refusal(content).contains(words), refusal(content)) }
        let image: [String: Any] = ["name": "a", "path": "/a", "height_px": 1, "width_px": 1]
        XCTAssert(
            refusal(try job(["images": [image, image.merging(["name": "A"]) { $1 }]])).contains("'a' is there twice"))
    }

    func testTheAppObeysOnlyPathsOfARun() throws {
        let files = AppFiles(folder)
        XCTAssertEqual(try files.url("/qsr-edge-r1/job-1.json").path, folder.path + "/qsr-edge-r1/job-1.json")
        for path in ["/qsr-edge-r1/../x", "/etc/passwd", "qsr-edge-r1/x", "/qsr-edge-r1", "/qsr-edge-r1/./x", ""] {
            XCTAssertThrowsError(try files.url(path), path)
        }
        for run in ["", "a/b", "..", String(repeating: "a", count: 41)] {
            XCTAssertThrowsError(try files.clean(run), run)
        }
        let run = folder.appendingPathComponent("qsr-edge-r1/outputs")
        try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
        try files.clean("r1")
        try files.clean("r1")
        XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder.path), [])
    }

    func testWhatTheAppIsStartedFor() {
        XCTAssertEqual(AppCommand(["app", "--job", "/x"]), .job("/x"))
        XCTAssertEqual(AppCommand(["app", "--clean", "r1"]), .clean("r1"))
        XCTAssertNil(AppCommand(["app"]))
        XCTAssertNil(AppCommand(["app", "--job"]))
    }

    func testRecordsAreWholeLines() throws {
        let file = folder.appendingPathComponent("a/results.jsonl")
        let results = try ResultsFile(file, StillDevice()) { _ in }
        try results.append(
            "error", [("message", .text("a \"b\"\n\\\u{1}é")), ("variant", nil), ("done", .array([.bool(true)]))])
        let line = try XCTUnwrap(String(contentsOf: file, encoding: .utf8).split(separator: "\n").first)
        let read = try Json(Array(line.utf8))
        XCTAssertEqual(read["message"], .text("a \"b\"\n\\\u{1}é"))
        XCTAssertNil(read["variant"])
        XCTAssertEqual(read["elapsed_ms"], .integer(0))
        // Each start of an agent has a file of its own.
        XCTAssertThrowsError(try ResultsFile(file, StillDevice()) { _ in }) {
            XCTAssert("\($0)".contains("begin another part"), "\($0)")
        }
    }

    /// A job over the real loader: Core ML on Apple's systems, on Linux the executor behind its stand-in.
    func testAJobIsMeasured() async throws {
        let run = folder.appendingPathComponent("qsr-edge-r1")
        try FileManager.default.createDirectory(
            at: run.appendingPathComponent("images"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: fixture("exact"), to: run.appendingPathComponent("bundle-0"))
        try FileManager.default.copyItem(at: fixture("picture.rgb"), to: run.appendingPathComponent("images/0.rgb"))
        try Data(try job(["gate": ["max_thermal_status": 2, "max_wait_ms": 60_000]])).write(
            to: run.appendingPathComponent("job-1.json"))
        let files = AppFiles(folder)
        let screen = BenchScreen(files)
        let device = CoolingDevice()
        let loader = CoreMLLoader(storage: folder.appendingPathComponent("compiled"))
        let agent = BenchAgent("test", loader, device, files, onRecord: screen.onRecord)
        device.whenAsked = { agent.event("low-memory") }
        let outcome = await agent.run(.job("/qsr-edge-r1/job-1.json"), onJob: screen.onJob)
        screen.onOutcome(outcome)
        XCTAssertEqual(outcome, Outcome(message: nil))
        let text = try String(contentsOf: run.appendingPathComponent("results-1.jsonl"), encoding: .utf8)
        let records = try text.split(separator: "\n").map { try Json(Array($0.utf8)) }
        let kinds = records.compactMap { $0["kind"]?.text }
        XCTAssertEqual(kinds.first, "agent")
        XCTAssertEqual(kinds.last, "end")
        XCTAssertEqual(records.last?["complete"], .bool(true))
        // It was hot at first: it waited, and told so.
        XCTAssert(kinds.contains("waiting"))
        XCTAssert(kinds.contains("event"))
        let start = try XCTUnwrap(records.first { $0["kind"] == .text("start") })
        XCTAssertEqual(start["golden_equal"], .bool(true))
        let image = try XCTUnwrap(records.first { $0["kind"] == .text("image") })
        let output = try Data(contentsOf: run.appendingPathComponent("outputs/0-noise.rgb"))
        XCTAssertEqual(output, try Data(contentsOf: fixture("picture-2.rgb")))
        XCTAssertEqual(image["sha256"], .text(Sha256.of(output)))
        let steady = records.filter { $0["kind"] == .text("steady") }
        XCTAssertGreaterThanOrEqual(steady.reduce(0) { $0 + ($1["latencies_us"]?.array?.count ?? 0) }, 3)
        XCTAssertGreaterThan(steady.first?["peak_bytes"]?.int ?? 0, 1_000_000)
        XCTAssertGreaterThanOrEqual(records.last { $0["kind"] == .text("sustained") }?["since_ms"]?.int ?? 0, 20)
        // And the screen has followed.
        let state = screen.state
        XCTAssertEqual(state.status, "done")
        XCTAssertEqual(state.variant, "depth 2: depth 2, coreml, 16x12")
        XCTAssertEqual(state.after?.size, PixelSize(heightPx: 80, widthPx: 112))
        XCTAssertGreaterThanOrEqual(state.queries, 3)
        XCTAssertNotNil(state.medianMs)
        XCTAssertEqual(state.thermalStatuses.first, 3)
        // The same part again is refused, and what is there stays.
        let again = await agent.run(.job("/qsr-edge-r1/job-1.json"))
        XCTAssert(again.message?.contains("begin another part") ?? false, "\(again)")
        let cleaned = await agent.run(.clean("r1"))
        XCTAssertTrue(cleaned.isComplete)
        XCTAssertFalse(FileManager.default.fileExists(atPath: run.path))
    }

    func testAJobThatCannotBeMeasuredIsTold() async throws {
        let run = folder.appendingPathComponent("qsr-edge-r1")
        try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
        let agent = BenchAgent("test", CoreMLLoader(storage: folder), StillDevice(), AppFiles(folder))
        try Data(try job(["protocol": 3])).write(to: run.appendingPathComponent("job-1.json"))
        let outcome = await agent.run(.job("/qsr-edge-r1/job-1.json"))
        XCTAssert(outcome.message?.contains("protocol 3") ?? false)
        let text = try String(contentsOf: run.appendingPathComponent("results-1.jsonl"), encoding: .utf8)
        let kinds = try text.split(separator: "\n").map { try Json(Array($0.utf8))["kind"]?.text }
        XCTAssertEqual(kinds, ["agent", "error", "end"])
        // A bundle that is not there.
        try Data(try job(["results": "/qsr-edge-r1/results-2.jsonl"])).write(
            to: run.appendingPathComponent("job-2.json"))
        let missing = await agent.run(.job("/qsr-edge-r1/job-2.json"))
        XCTAssert(missing.message?.contains("not a bundle") ?? false, "\(missing)")
        let last = try String(contentsOf: run.appendingPathComponent("results-2.jsonl"), encoding: .utf8)
        XCTAssert(last.contains("\"variant\":\"depth 2\""), last)
        let nowhere = await agent.run(.job("/qsr-edge-r1/job-3.json"))
        XCTAssert(nowhere.message?.contains("push it again") ?? false, "\(nowhere)")
    }

    private func fixture(_ name: String) -> URL {
        URL(fileURLWithPath: #filePath).appendingPathComponent("../../../.build/fixtures/\(name)").standardized
    }
}

/// A clock that stands still.
private struct StillDevice: AgentDevice {
    func nanoseconds() -> Int { 5 }
    func condition() async -> Condition { Condition() }
}

/// Hot when first asked, cool from then on; its waiting takes no time.
private final class CoolingDevice: AgentDevice, @unchecked Sendable {
    private let lock = NSLock()
    private var asked = 0
    private var sleptNs = 0
    var whenAsked: @Sendable () -> Void = {}

    func nanoseconds() -> Int { Int(DispatchTime.now().uptimeNanoseconds) + lock.withLock { sleptNs } }

    func sleep(ms: Int) async throws { lock.withLock { sleptNs += ms * 1_000_000 } }

    func condition() async -> Condition {
        whenAsked()
        let count = lock.withLock {
            asked += 1
            return asked
        }
        return Condition(thermalStatus: count == 1 ? 3 : 1, batteryPercent: 50, isPluggedIn: true, isPowerSave: false)
    }
}
