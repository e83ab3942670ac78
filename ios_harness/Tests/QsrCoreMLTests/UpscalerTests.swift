import Foundation
import XCTest

@testable import QsrCoreML
@testable import QsrRuntime

/// The upscaler's turns, depths, cancellation and end, over a fake runtime whose work the tests hold and release.
final class UpscalerTests: XCTestCase {
    private let loader = FakeLoader()
    private let size = PixelSize(heightPx: 20, widthPx: 30)

    private func picture(_ size: PixelSize? = nil) -> RgbImage {
        GoldenInput(seed: 5, size: size ?? self.size).image
    }

    /// What the fake runtime makes of a picture.
    private func expected(_ image: RgbImage, depth: Int) throws -> RgbImage {
        let large = try image.size.times(2)
        var pixels: [UInt8] = []
        for row in 0..<large.heightPx {
            for column in 0..<large.widthPx {
                let at = 3 * (row / 2 * image.size.widthPx + column / 2)
                pixels += image.pixels[at..<at + 3].map { $0 &+ UInt8(depth) }
            }
        }
        return try RgbImage(size: large, pixels: pixels)
    }

    private func upscaler(
        _ options: UpscalerOptions, state: DeviceState = DeviceState(), availableBytes: Int? = nil
    ) async throws -> QsrUpscaler {
        try await QsrUpscaler(
            QsrBundle(at: Fixtures.url("exact")), options, loader, deviceState: { state },
            availableBytes: { availableBytes })
    }

    private func fixed(_ depth: Int, tilePx: Int = 256) -> UpscalerOptions {
        var options = UpscalerOptions()
        options.adapts = false
        options.depth = depth
        options.tilePx = tilePx
        return options
    }

    func testTilesOfEverySizeGiveTheSame() async throws {
        for (depth, tile, tiles) in [(2, 256, 1), (2, 5, 2 * 4), (4, 1, 1)] {
            let upscaler = try await upscaler(fixed(depth, tilePx: tile))
            let work = upscaler.upscaling(picture())
            var last: TileProgress?
            for await progress in work.progress { last = progress }
            let output = try await work.result()
            XCTAssertEqual(output, try expected(picture(), depth: depth))
            if depth == 2 { XCTAssertEqual(last, TileProgress(done: tiles, total: tiles)) }
        }
    }

    func testOneImageAtATimeInTheOrderInWhichTheyCame() async throws {
        let upscaler = try await upscaler(fixed(2))
        loader.windows.close()
        let (large, small) = (picture(), picture(PixelSize(heightPx: 3, widthPx: 4)))
        async let first = upscaler.upscale(large)
        await loader.windows.waitForSomebody()
        async let second = upscaler.upscale(small)
        // The second has no window as long as the first one's is held.
        await Task.yield()
        XCTAssertEqual(loader.windows.passed.count, 1)
        loader.windows.open()
        let (one, other) = try await (first, second)
        XCTAssertEqual(one, try expected(picture(), depth: 2))
        XCTAssertEqual(other.size, PixelSize(heightPx: 6, widthPx: 8))
    }

    func testACancelledTaskEndsAndTheNextCallWorks() async throws {
        let upscaler = try await upscaler(fixed(2, tilePx: 4))
        loader.windows.close()
        let (picture, cancelled) = (picture(), Task { [picture = picture()] in try await upscaler.upscale(picture) })
        await loader.windows.waitForSomebody()
        cancelled.cancel()
        let work = upscaler.upscaling(picture)
        work.cancel()
        loader.windows.open()
        for result in [await cancelled.result.map { _ in () }, await Task { _ = try await work.result() }.result] {
            XCTAssertThrowsError(try result.get()) { XCTAssert($0 is CancellationError, "\($0)") }
        }
        XCTAssertLessThan(loader.windows.passed.count, 4)
        let next = try await upscaler.upscale(picture)
        XCTAssertEqual(next, try expected(picture, depth: 2))
    }

    func testADepthChangesBetweenImagesWithoutAStall() async throws {
        let changes = Changes()
        var options = fixed(2)
        options.onChange = changes.tell
        let upscaler = try await upscaler(options)
        _ = try await upscaler.upscale(picture())
        loader.loads.close()
        try await upscaler.requestDepth(8)
        await loader.loads.waitForSomebody()
        // The next model is being loaded; images go on.
        let meanwhile = try await upscaler.upscale(picture())
        XCTAssertEqual(meanwhile, try expected(picture(), depth: 2))
        loader.windows.close()
        loader.loads.open()
        // It is warmed up before it takes over.
        await loader.windows.waitForSomebody()
        XCTAssertEqual(loader.windows.passed.last, 8)
        loader.windows.open()
        var output = try await upscaler.upscale(picture())
        while output == meanwhile {
            await Task.yield()
            output = try await upscaler.upscale(picture())
        }
        XCTAssertEqual(output, try expected(picture(), depth: 8))
        let told = await changes.next()
        XCTAssertEqual(told, .running(depth: 8, reasons: []))
        let depth = await upscaler.depth
        XCTAssertEqual(depth, 8)
        do {
            try await upscaler.requestDepth(3)
            XCTFail("there is no depth 3")
        } catch QsrError.bundle {}
    }

    func testADepthThatCannotBeLoadedIsToldAndTheOldOneGoesOn() async throws {
        let changes = Changes()
        var options = fixed(2)
        options.onChange = changes.tell
        let upscaler = try await upscaler(options)
        loader.broken = [4]
        try await upscaler.requestDepth(4)
        let told = await changes.next()
        XCTAssertEqual(told, .failed(depth: 4, error: "depth 4 is broken; use another"))
        try await upscaler.requestDepth(4)
        let output = try await upscaler.upscale(picture())
        XCTAssertEqual(output, try expected(picture(), depth: 2))
        XCTAssertEqual(loader.loads.passed, [2, 4])
    }

    func testHeatMakesItShallower() async throws {
        let changes = Changes()
        var options = UpscalerOptions()
        options.depth = 8
        options.onChange = changes.tell
        let hot = DeviceState(thermalStatus: 3, batteryPercent: 80, isCharging: false, isLowPowerMode: false)
        let upscaler = try await upscaler(options, state: hot)
        // The policy begins at its own depth; heat asks for the shallowest.
        var told: DepthChange?
        let watching = Task { await changes.next() }
        while told == nil {
            _ = try await upscaler.upscale(picture())
            if await upscaler.depth == 2 { told = await watching.value }
        }
        guard case .running(depth: 2, let reasons) = told else { return XCTFail("\(String(describing: told))") }
        XCTAssert(reasons.contains("thermal-severe"), "\(reasons)")
    }

    func testAClosedUpscalerSaysSo() async throws {
        let upscaler = try await upscaler(fixed(2, tilePx: 4))
        loader.windows.close()
        let running = Task { [picture = picture()] in try await upscaler.upscale(picture) }
        await loader.windows.waitForSomebody()
        await upscaler.close()
        loader.windows.open()
        for work in [running, Task { [picture = picture()] in try await upscaler.upscale(picture) }] {
            let result = await work.result
            XCTAssertThrowsError(try result.get()) { error in
                XCTAssertEqual(error as? QsrError, .closed("this upscaler was closed; make a new one"))
            }
        }
    }

    func testTooLittleMemoryIsToldBeforeTheWork() async throws {
        let upscaler = try await upscaler(fixed(2), availableBytes: 1000)
        do {
            _ = try await upscaler.upscale(picture())
            XCTFail("it takes more than 1000 bytes")
        } catch QsrError.memory(let text) {
            XCTAssert(text.contains("upscale a part"), text)
        }
        let small = try await upscaler.upscale(picture(PixelSize(heightPx: 2, widthPx: 2)))
        XCTAssertEqual(small.size, PixelSize(heightPx: 4, widthPx: 4))
    }

    func testBundlesThatDoNotFitAreRefused() async throws {
        loader.broken = [2]
        do {
            _ = try await upscaler(fixed(2))
            XCTFail("depth 2 is broken")
        } catch QsrError.model {}
        do {
            _ = try await upscaler(fixed(5))
            XCTFail("there is no depth 5")
        } catch QsrError.bundle(let text) {
            XCTAssert(text.contains("only [2, 4, 8]"), text)
        }
    }
}

/// What `Tests/make_fixtures.py` wrote.
enum Fixtures {
    static func url(_ name: String) -> URL {
        URL(fileURLWithPath: #filePath).appendingPathComponent("../../../.build/fixtures/\(name)").standardized
    }
}
