import CoreVideo
import Foundation

/// What the stand-in throws in place of Core ML's errors.
struct StandInError: LocalizedError {
    let errorDescription: String?
    init(_ text: String) { errorDescription = text }
}

/// RGB, row by row.
struct Pixels: Sendable {
    let height: Int
    let width: Int
    let bytes: [UInt8]

    init(height: Int, width: Int, bytes: [UInt8]) {
        (self.height, self.width, self.bytes) = (height, width, bytes)
    }

    /// Of a buffer of BGRA.
    init(_ buffer: CVPixelBuffer) {
        let plane = buffer.planes[0]
        (height, width) = (plane.height, plane.width)
        var rgb: [UInt8] = []
        rgb.reserveCapacity(3 * height * width)
        for row in 0..<height {
            let line = plane.base.advanced(by: row * plane.bytesPerRow).assumingMemoryBound(to: UInt8.self)
            for column in 0..<width { for channel in [2, 1, 0] { rgb.append(line[4 * column + channel]) } }
        }
        bytes = rgb
    }

    /// A buffer of BGRA.
    var buffer: CVPixelBuffer? {
        var made: CVPixelBuffer?
        guard CVPixelBufferCreate(nil, width, height, kCVPixelFormatType_32BGRA, nil, &made) == kCVReturnSuccess,
            let plane = made?.planes[0]
        else { return nil }
        for row in 0..<height {
            let line = plane.base.advanced(by: row * plane.bytesPerRow).assumingMemoryBound(to: UInt8.self)
            for column in 0..<width {
                let at = 3 * (row * width + column)
                (line[4 * column], line[4 * column + 1], line[4 * column + 2]) = (
                    bytes[at + 2], bytes[at + 1], bytes[at]
                )
                line[4 * column + 3] = 255
            }
        }
        return made
    }
}

/// A Python process that runs saved packages: `model_worker.py`. Requests and answers are lines of JSON; pixels follow as
/// raw bytes. One process serves all models, one request at a time.
final class ModelWorker: @unchecked Sendable {
    static let shared = ModelWorker()
    private let queue = DispatchQueue(label: "io.qsredge.stand-in")
    // For the queue alone.
    private var started: (process: Process, requests: FileHandle, answers: FileHandle)?

    func background<Value: Sendable>(_ work: @escaping @Sendable (ModelWorker) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try work(self) }) }
        }
    }

    func compile(_ package: URL) throws -> URL {
        _ = try ask(["do": "compile", "package": package.path])
        let name = package.deletingPathExtension().lastPathComponent
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let compiled = folder.appendingPathComponent("\(name).mlmodelc")
        try FileManager.default.copyItem(at: package, to: compiled)
        return compiled
    }

    func load(_ compiled: URL, _ function: String?, _ units: MLComputeUnits) throws -> (
        number: Int, input: String, output: String
    ) {
        var request: [String: Any] = ["do": "load", "package": compiled.path, "units": units.rawValue]
        if let function { request["function"] = function }
        let answer = try ask(request)
        guard let number = answer["model"] as? Int, let input = answer["input"] as? String,
            let output = answer["output"] as? String
        else { throw StandInError("a strange answer") }
        return (number, input, output)
    }

    func run(_ number: Int, _ pixels: Pixels) throws -> Pixels {
        let request: [String: Any] = [
            "do": "run", "model": number, "height_px": pixels.height, "width_px": pixels.width,
        ]
        let answer = try ask(request, pixels.bytes)
        guard let height = answer["height_px"] as? Int, let width = answer["width_px"] as? Int,
            let answers = started?.answers
        else { throw StandInError("a strange answer") }
        return Pixels(height: height, width: width, bytes: try read(answers, 3 * height * width))
    }

    func release(_ number: Int) {
        queue.async { _ = try? self.ask(["do": "close", "model": number]) }
    }

    private func start() throws -> (process: Process, requests: FileHandle, answers: FileHandle) {
        if let started, started.process.isRunning { return started }
        let settings = ProcessInfo.processInfo.environment
        guard let python = settings["QSR_EDGE_PYTHON"] else {
            throw StandInError(
                "QSR_EDGE_PYTHON is not set: the stand-in for Core ML runs packages by qsr-edge's executor")
        }
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "model_worker.py")
        let process = Process()
        if let root = settings["QSR_EDGE_HOST_ROOT"] {
            // In a Debian of its own; Python is the machine's.
            process.executableURL = URL(fileURLWithPath: "/usr/sbin/chroot")
            process.arguments = [root, python, script.path]
        } else {
            process.executableURL = URL(fileURLWithPath: python)
            process.arguments = [script.path]
        }
        let (requests, answers) = (Pipe(), Pipe())
        process.standardInput = requests
        process.standardOutput = answers
        // A worker that ended must be an error here, not the end of this process.
        signal(SIGPIPE, SIG_IGN)
        try process.run()
        let made = (process, requests.fileHandleForWriting, answers.fileHandleForReading)
        started = made
        return made
    }

    private func ask(_ request: [String: Any], _ content: [UInt8] = []) throws -> [String: Any] {
        let worker = try start()
        try worker.requests.write(contentsOf: try JSONSerialization.data(withJSONObject: request) + Data("\n".utf8))
        if !content.isEmpty { try worker.requests.write(contentsOf: Data(content)) }
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n") { line += try read(worker.answers, 1) }
        let answer = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] ?? [:]
        if let error = answer["error"] as? String { throw StandInError(error) }
        return answer
    }

    private func read(_ handle: FileHandle, _ count: Int) throws -> [UInt8] {
        var content: [UInt8] = []
        while content.count < count {
            guard let chunk = try handle.read(upToCount: count - content.count), !chunk.isEmpty else {
                started = nil
                throw StandInError("the process that runs models ended")
            }
            content += chunk
        }
        return content
    }
}
