import Foundation
import QsrBench
import QsrCoreML
import QsrRuntime

// What the tests of qsr-edge run on a computer:
//
//     qsr-host bench DOCUMENTS --job PATH | --clean RUN [--pause-after KIND]
//                                                              the bench app's agent; it stops (SIGSTOP) after the first
//                                                              record of a kind
//     qsr-host upscale BUNDLE STORAGE DEPTH TILE_PX IN.rgb HEIGHT WIDTH OUT.rgb
//     qsr-host judge STORAGE ZIP...                            whether bundles are accepted, a line for each

func fail(_ text: String, _ code: Int32 = 1) -> Never {
    FileHandle.standardError.write(Data("error: \(text)\n".utf8))
    exit(code)
}

func url(_ path: String) -> URL { URL(fileURLWithPath: path) }

/// Stops this process once, after a record of a kind is on disk, so that a test can let something befall it there.
final class Pause: @unchecked Sendable {
    private let lock = NSLock()
    private var kind: String?

    init(after kind: String?) { self.kind = kind }

    func take(_ record: Record) {
        let isDue = lock.withLock {
            guard record.kind == kind else { return false }
            kind = nil
            return true
        }
        if isDue { raise(SIGSTOP) }
    }
}

func bench(_ arguments: [String]) async {
    guard let documents = arguments.first, let command = AppCommand(arguments) else {
        fail("usage: qsr-host bench DOCUMENTS --job PATH | --clean RUN", 2)
    }
    let kind = arguments.firstIndex(of: "--pause-after").map { arguments[$0 + 1] }
    let pause = Pause(after: kind)
    let files = AppFiles(url(documents))
    let agent = BenchAgent("qsr-edge-swift-agent", CoreMLLoader(), ThisDevice(), files, onRecord: pause.take)
    let outcome = await agent.run(command)
    if let message = outcome.message { fail(message) }
}

func upscale(_ arguments: [String]) async throws {
    guard arguments.count == 8, let depth = Int(arguments[2]), let tile = Int(arguments[3]),
        let height = Int(arguments[5]),
        let width = Int(arguments[6])
    else { fail("usage: qsr-host upscale BUNDLE STORAGE DEPTH TILE_PX IN.rgb HEIGHT WIDTH OUT.rgb", 2) }
    let bundle =
        arguments[0].hasSuffix(".zip")
        ? try QsrBundle(unzipping: url(arguments[0]), into: url(arguments[1]))
        : try QsrBundle(copying: url(arguments[0]), into: url(arguments[1]))
    var options = UpscalerOptions()
    options.adapts = false
    options.depth = depth
    options.tilePx = tile
    let upscaler = try await QsrUpscaler(bundle, options: options)
    let tests = try await upscaler.selfTest()
    let size = PixelSize(heightPx: height, widthPx: width)
    let image = try RgbImage(size: size, pixels: [UInt8](Data(contentsOf: url(arguments[4]))))
    let work = upscaler.upscaling(image)
    var tiles = 0
    for await progress in work.progress { tiles = progress.total }
    try Data(try await work.result().pixels).write(to: url(arguments[7]))
    print("tested \(tests.map(\.depth)) equal \(tests.allSatisfy(\.isEqual)) tiles \(tiles)")
}

func judge(_ arguments: [String]) {
    for path in arguments.dropFirst() {
        do {
            // Each has a storage of its own: what is installed already is not looked at again.
            let storage = url(arguments[0]).appendingPathComponent(url(path).lastPathComponent)
            print("accepted \(try QsrBundle(unzipping: url(path), into: storage).root.path)")
        } catch {
            print("refused \(error)")
        }
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
do {
    switch arguments.first {
    case "bench": await bench(Array(arguments.dropFirst()))
    case "upscale": try await upscale(Array(arguments.dropFirst()))
    case "judge": judge(Array(arguments.dropFirst()))
    default: fail("usage: qsr-host bench|upscale|judge ...", 2)
    }
} catch {
    fail(oneLine(error))
}
