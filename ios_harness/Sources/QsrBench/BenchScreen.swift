import Foundation
import QsrRuntime

/// What a screen shows of a part.
public struct ScreenState: Equatable, Sendable {
    /// What goes on, in a few words.
    public internal(set) var status = "no job yet: qsr-edge bench starts one"
    /// The variant at work, its depth among it.
    public internal(set) var variant = ""
    /// The last latencies in milliseconds, the oldest first.
    public internal(set) var latenciesMs: [Double] = []
    /// Thermal status and battery.
    public internal(set) var heat = ""
    /// Every thermal status so far, in order.
    public internal(set) var thermalStatuses: [Int] = []
    /// Steady inferences.
    public internal(set) var queries = 0
    /// Raw RGB of the last picture, and of what became of it.
    public internal(set) var before: RawPicture?
    public internal(set) var after: RawPicture?

    /// The median of the latencies that are shown, the lower of the middle two.
    public var medianMs: Double? {
        latenciesMs.isEmpty ? nil : latenciesMs.sorted()[(latenciesMs.count - 1) / 2]
    }
}

/// Raw RGB in a file.
public struct RawPicture: Equatable, Sendable {
    public let file: URL
    public let size: PixelSize
}

/// Follows the records of a part for a screen; for any thread.
package final class BenchScreen: @unchecked Sendable {
    private static let mostLatencies = 300
    private let files: AppFiles
    private let lock = NSLock()
    // Guarded by the lock.
    private var now = ScreenState()
    private var label: String?
    private var job: Job?

    package init(_ files: AppFiles) {
        self.files = files
    }

    /// What to show now.
    package var state: ScreenState { lock.withLock { now } }

    /// Tell what is measured.
    package func onJob(_ job: Job) {
        lock.withLock {
            self.job = job
            now.status = "starting"
        }
    }

    /// Tell how the part ended.
    package func onOutcome(_ outcome: Outcome) {
        lock.withLock { now.status = outcome.summary }
    }

    /// Tell a record.
    package func onRecord(_ record: Record) {
        lock.withLock { take(record) }
    }

    private func take(_ record: Record) {
        if let label = record["variant"]?.text, label != self.label {
            self.label = label
            now.latenciesMs = []
            if let variant = job?.variants.first(where: { $0.label == label }) {
                now.variant = "\(label): depth \(variant.depth), \(variant.kernels), \(variant.size)"
            }
        }
        switch record.kind {
        case "waiting": now.status = "waiting: \(record["reason"]?.text ?? "")"
        case "condition": heat(record["condition"])
        case "start": now.status = record["golden_equal"] == .bool(false) ? "WRONG BYTES" : "started"
        case "warm-up", "steady", "sustained": latencies(record)
        case "image": picture(record)
        case "error": now.status = "error: \(record["message"]?.text ?? "")"
        default: break
        }
    }

    private func heat(_ condition: Json?) {
        let status = condition?["thermal_status"]?.int
        let battery = condition?["battery_percent"]?.int
        if let status { now.thermalStatuses.append(status) }
        now.heat = [status.map { "thermal status \($0)" }, battery.map { "battery \($0) %" }].compactMap { $0 }
            .joined(separator: ", ")
    }

    private func latencies(_ record: Record) {
        let us = record["latencies_us"]?.array?.compactMap(\.int) ?? []
        now.status = record.kind
        if record.kind == "steady" { now.queries += us.count }
        now.latenciesMs = (now.latenciesMs + us.map { Double($0) / 1000 }).suffix(Self.mostLatencies)
    }

    private func picture(_ record: Record) {
        guard let job, let image = job.images.first(where: { $0.name == record["image"]?.text }),
            let name = record["output"]?.text, let before = try? files.url(image.path),
            let after = try? files.url("\(job.outputs)/\(name)"),
            let bytes = (try? after.resourceValues(forKeys: [.fileSizeKey]))?.fileSize
        else { return }
        // Every channel of every pixel is a byte; the scale is what the sizes tell.
        let scale = Int((Double(bytes) / Double(3 * image.size.heightPx * image.size.widthPx)).squareRoot().rounded())
        guard let large = try? image.size.times(scale) else { return }
        now.before = RawPicture(file: before, size: image.size)
        now.after = RawPicture(file: after, size: large)
    }
}
