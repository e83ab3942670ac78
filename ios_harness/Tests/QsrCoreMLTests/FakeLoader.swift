import Foundation

@testable import QsrCoreML
@testable import QsrRuntime

/// Stands where Core ML would, for what depends on time: every pixel becomes a square of pixels, plus the depth. Loads and
/// windows can be made to wait.
final class FakeLoader: ModelLoading, @unchecked Sendable {
    let target = "coreml"
    let runtime = "fake"
    let kernels = ["coreml"]
    let largestSidePx: Int? = nil
    let loads = Gate()
    let windows = Gate()
    var broken: Set<Int> = []

    func load(_ spec: ModelSpec) async throws -> any LoadedModel {
        await loads.pass(spec.depth)
        if broken.contains(spec.depth) { throw QsrError.model("depth \(spec.depth) is broken; use another") }
        return FakeModel(loader: self, spec: spec)
    }
}

private final class FakeModel: LoadedModel {
    let loader: FakeLoader
    let spec: ModelSpec

    init(loader: FakeLoader, spec: ModelSpec) {
        (self.loader, self.spec) = (loader, spec)
    }

    func makeWindow(_ size: PixelSize) throws -> any ModelWindow { FakeWindow(self, size) }
}

private final class FakeWindow: ModelWindow, @unchecked Sendable {
    private let model: FakeModel
    private let size: PixelSize
    private var input: [UInt8] = []

    init(_ model: FakeModel, _ size: PixelSize) {
        (self.model, self.size) = (model, size)
    }

    func fill(_ rgb: [UInt8]) { input = rgb }

    func run() async throws { await model.loader.windows.pass(model.spec.depth) }

    func read() -> [UInt8] {
        let scale = model.spec.scale
        var output: [UInt8] = []
        for row in 0..<size.heightPx * scale {
            for column in 0..<size.widthPx * scale {
                let at = 3 * (row / scale * size.widthPx + column / scale)
                for i in at..<at + 3 { output.append(input[i] &+ UInt8(model.spec.depth)) }
            }
        }
        return output
    }
}

/// Where tasks wait until a test lets them pass; open at first.
final class Gate: @unchecked Sendable {
    private let lock = NSLock()
    private var isOpen = true
    private var inside: [CheckedContinuation<Void, Never>] = []
    private var watchers: [CheckedContinuation<Void, Never>] = []
    private var seen: [Int] = []

    func close() { lock.withLock { isOpen = false } }

    func open() {
        let waiting = lock.withLock {
            isOpen = true
            defer { inside = [] }
            return inside
        }
        for one in waiting { one.resume() }
    }

    /// What came by, in order.
    var passed: [Int] { lock.withLock { seen } }

    func pass(_ value: Int) async {
        await withCheckedContinuation { continuation in
            let (isFree, watching) = lock.withLock {
                seen.append(value)
                if !isOpen { inside.append(continuation) }
                defer { watchers = [] }
                return (isOpen, watchers)
            }
            for one in watching { one.resume() }
            if isFree { continuation.resume() }
        }
    }

    /// Wait until somebody waits at the closed gate.
    func waitForSomebody() async {
        await withCheckedContinuation { continuation in
            let isThere = lock.withLock {
                if inside.isEmpty { watchers.append(continuation) }
                return !inside.isEmpty
            }
            if isThere { continuation.resume() }
        }
    }
}

/// Changes of depth as they are told, to wait for.
final class Changes: @unchecked Sendable {
    private let stream: AsyncStream<DepthChange>
    private let continuation: AsyncStream<DepthChange>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    var tell: @Sendable (DepthChange) -> Void { { [continuation] in continuation.yield($0) } }

    func next() async -> DepthChange? {
        for await change in stream { return change }
        return nil
    }
}
