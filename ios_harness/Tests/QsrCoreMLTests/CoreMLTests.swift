import CoreGraphics
import CoreML
import CoreVideo
import Foundation
import XCTest

@testable import QsrCoreML
@testable import QsrRuntime

#if os(Linux)
    import UIKit
#endif

/// Saved packages upscale to the bytes that Python computes: on Apple's systems by Core ML, on Linux by the executor that
/// verifies what `qsr-edge convert` writes.
final class CoreMLTests: XCTestCase {
    private static let size = PixelSize(heightPx: 40, widthPx: 56)
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("qsr-\(UUID().uuidString)")
    }

    override func tearDownWithError() throws {
        try? FileManager.default.removeItem(at: folder)
    }

    private func bytes(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: Fixtures.url(name))) }

    private func picture() throws -> RgbImage { try RgbImage(size: Self.size, pixels: bytes("picture.rgb")) }

    private func upscaler(
        _ name: String = "exact", depth: Int = 2, tilePx: Int = 256
    ) async throws -> QsrUpscaler {
        var options = UpscalerOptions()
        options.adapts = false
        options.depth = depth
        options.tilePx = tilePx
        return try await QsrUpscaler(
            QsrBundle(at: Fixtures.url(name)), options, CoreMLLoader(storage: folder), deviceState: { DeviceState() },
            availableBytes: { nil })
    }

    func testBytesAreThoseOfThePythonReference() async throws {
        var compared = 0
        // One window; tiles; functions of one package for a fixed size.
        for (name, tile) in [("exact", 256), ("exact", 12), ("shared", 256)] {
            for depth in [2, 4, 8] {
                let output = try await upscaler(name, depth: depth, tilePx: tile).upscale(picture())
                let expected = try bytes("picture-\(depth).rgb")
                XCTAssertEqual(output.pixels.count, expected.count)
                let different = zip(output.pixels, expected).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
                XCTAssertEqual(different, 0, "\(name), depth \(depth), tiles of \(tile)")
                compared += expected.count
            }
        }
        print("Core ML: \(compared) bytes compared")
        XCTAssertEqual(compared, 9 * 4 * 40 * 56 * 3)
    }

    func testTheSelfTestComparesWithTheManifest() async throws {
        let found = try await upscaler().selfTest()
        XCTAssertEqual(found.map(\.depth), [2, 4, 8])
        XCTAssertTrue(found.allSatisfy(\.isEqual), "\(found)")
        // Made for the Neural Engine, it is near, and not expected to be equal.
        let near = try await upscaler("ane").selfTest()
        XCTAssertFalse(near.allSatisfy(\.isEqual))
    }

    func testPicturesAreThoseOfThePythonReference() async throws {
        let rgb = try bytes("picture.rgb")
        let opaque = try Self.image(rgb.chunks(3).flatMap { $0 + [0] }, 4, .noneSkipLast)
        let large = try await upscaler().upscale(opaque)
        XCTAssertEqual(large.alphaInfo, .noneSkipLast)
        XCTAssertEqual(large.colorSpace?.name, CGColorSpace.sRGB)
        XCTAssertEqual(Self.content(large).chunks(4).flatMap { $0.prefix(3) }, try bytes("picture-2.rgb"))
        // Alpha and hidden colours; grey; in one tile and in many.
        for (name, tile) in [("disc", 256), ("disc", 12), ("grey", 256)] {
            let picture = try Self.image(bytes("\(name).rgba"), 4, .last)
            let large = try await upscaler(tilePx: tile).upscale(picture)
            XCTAssertEqual(large.alphaInfo, .last)
            XCTAssertEqual(Self.content(large), try bytes("\(name)-2.rgba"), "\(name), tiles of \(tile)")
        }
    }

    func testColourSpacesAreKeptOrBecomeSRGB() async throws {
        // Display P3's own numbers, as an app may have them, and in its own space again.
        let rgb: [UInt8] = try bytes("picture.rgb").chunks(3).flatMap { $0 + [0] }
        let wide = try Self.image(rgb, 4, .noneSkipLast, CGColorSpace.displayP3)
        let large = try await upscaler().upscale(wide)
        XCTAssertEqual(large.colorSpace?.name, CGColorSpace.displayP3)
        XCTAssertEqual(Self.content(large).chunks(4).flatMap { $0.prefix(3) }, try bytes("picture-2.rgb"))
        // What is not of RGB becomes sRGB.
        let count = Self.size.heightPx * Self.size.widthPx
        let image = try RgbaImage(
            Self.image((0..<count).map { UInt8($0 % 256) }, 1, .none, CGColorSpace.genericGrayGamma2_2))
        XCTAssertEqual(image.space.name, CGColorSpace.sRGB)
        var grey: [UInt8] = []
        image.append(row: 0, columns: 0..<56, to: &grey)
        XCTAssertTrue(grey.chunks(3).allSatisfy { $0[0] == $0[1] && $0[1] == $0[2] })
    }

    func testFramesOfEveryFormat() async throws {
        let rgb = try bytes("picture.rgb")
        let expected = try bytes("picture-2.rgb")
        let upscaler = try await upscaler()
        let frame = try PixelBuffers.make(Self.size)
        try PixelBuffers.write(rgb, to: frame)
        let large = try await upscaler.upscale(frame)
        XCTAssertEqual(CVPixelBufferGetPixelFormatType(large), kCVPixelFormatType_32BGRA)
        XCTAssertEqual(try PixelBuffers.read(large, expected: Self.size.times(2)), expected)
        for (format, isFull) in [
            (kCVPixelFormatType_420YpCbCr8BiPlanarFullRange, true),
            (kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange, false),
        ] {
            for matrix in [kCVImageBufferYCbCrMatrix_ITU_R_601_4, kCVImageBufferYCbCrMatrix_ITU_R_709_2] {
                let frame = try Self.camera(format, matrix)
                // What the frame looks like in doubles, by the standards' own formulas.
                let kr = matrix == kCVImageBufferYCbCrMatrix_ITU_R_601_4 ? 0.299 : 0.2126
                let kb = matrix == kCVImageBufferYCbCrMatrix_ITU_R_601_4 ? 0.114 : 0.0722
                let seen = try Self.pixels(frame)
                for (i, found) in seen.chunks(3).enumerated() {
                    let (row, column) = (i / 56, i % 56)
                    let y = (Double(Self.luma(row, column)) - (isFull ? 0 : 16)) / (isFull ? 255 : 219)
                    let u = (Double(Self.chroma(row / 2, column / 2, 0)) - 128) / (isFull ? 255 : 224)
                    let v = (Double(Self.chroma(row / 2, column / 2, 1)) - 128) / (isFull ? 255 : 224)
                    let (r, b) = (y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u)
                    let g = (y - kr * r - kb * b) / (1 - kr - kb)
                    for (one, want) in zip(found, [r, g, b]) {
                        XCTAssertEqual(Double(one), min(max(255 * want, 0), 255), accuracy: 0.51)
                    }
                }
                // The network is given just that.
                let plain = try await upscaler.upscale(RgbImage(size: Self.size, pixels: seen))
                let large = try await upscaler.upscale(frame)
                XCTAssertEqual(try PixelBuffers.read(large, expected: Self.size.times(2)), plain.pixels)
            }
        }
    }

    func testTheWeightsOfBT601AreThoseOfTheAndroidLibrary() {
        let full = YuvWeights(kr: 0.299, kb: 0.114, fullRange: true)
        XCTAssertEqual([full.redOfV, full.greenOfU, full.greenOfV, full.blueOfU], [91_881, 22_553, 46_802, 116_130])
        let video = YuvWeights(kr: 0.299, kb: 0.114, fullRange: false)
        XCTAssertEqual(
            [video.luma, video.redOfV, video.greenOfU, video.greenOfV, video.blueOfU],
            [76_309, 104_597, 25_674, 53_279, 132_201])
    }

    func testStrangeFramesAreRefused() async throws {
        let upscaler = try await upscaler()
        let frame = try Self.camera(
            kCVPixelFormatType_420YpCbCr8BiPlanarFullRange, NSString(string: "ITU_R_2020") as CFString)
        do {
            _ = try await upscaler.upscale(frame)
            XCTFail("BT.2020 is not known")
        } catch QsrError.pixels(let text) {
            XCTAssert(text.contains("ITU_R_2020"), text)
        }
        _ = try await upscaler.upscale(picture())
    }

    func testCompiledModelsAreKeptAndRenewed() async throws {
        _ = try await upscaler()
        let kept = try XCTUnwrap(
            FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil).first)
        XCTAssertEqual(kept.pathExtension, "mlmodelc")
        let time = try FileManager.default.attributesOfItem(atPath: kept.path)[.modificationDate] as? Date
        _ = try await upscaler()
        let again = try FileManager.default.attributesOfItem(atPath: kept.path)[.modificationDate] as? Date
        XCTAssertEqual(time, again)
        // What cannot be loaded any more is compiled anew.
        for file in try FileManager.default.contentsOfDirectory(at: kept, includingPropertiesForKeys: nil) {
            try FileManager.default.removeItem(at: file)
        }
        let output = try await upscaler().upscale(picture())
        XCTAssertEqual(output.pixels, try bytes("picture-2.rgb"))
    }

    func testAModelThatDoesNotCompileIsNamed() async throws {
        // Its hashes are right: what is wrong is what it says.
        let copy = folder.appendingPathComponent("copy")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(at: Fixtures.url("exact"), to: copy)
        let bundle = try QsrBundle(at: copy)
        let spec = try bundle.modelSpec(CoreMLLoader(storage: folder), depth: 2)
        let model = try XCTUnwrap(spec.listed.first { $0.path.hasSuffix("model.mlmodel") })
        try Data("no model".utf8).write(to: copy.appendingPathComponent(model.path))
        do {
            _ = try await CoreMLLoader(storage: folder.appendingPathComponent("compiled")).load(spec)
            XCTFail("it is no model")
        } catch QsrError.model(let text) {
            XCTAssert(text.contains("cannot be compiled"), text)
            XCTAssertFalse(text.contains("\n"), text)
        }
        XCTAssertFalse(FileManager.default.fileExists(atPath: folder.appendingPathComponent("compiled").path))
    }

    func testComputeUnitsAreTheManifests() {
        XCTAssertEqual(CoreMLLoader.computeUnits("CPU and GPU"), .cpuAndGPU)
        XCTAssertEqual(CoreMLLoader.computeUnits("CPU"), .cpuOnly)
        XCTAssertEqual(
            CoreMLLoader.computeUnits("Neural Engine; int8 products on A17 Pro, M4 and newer"), .cpuAndNeuralEngine)
        XCTAssertEqual(CoreMLLoader.computeUnits(nil), .all)
    }

    #if os(Linux)
        func testTheDeviceTellsWhatTheSelectorAsks() async {
            StandInDevice.thermalState = .serious
            StandInDevice.batteryLevel = 0.294
            StandInDevice.batteryState = .charging
            StandInDevice.isLowPowerModeEnabled = true
            defer {
                StandInDevice.thermalState = .nominal
                StandInDevice.isLowPowerModeEnabled = false
            }
            let state = await DeviceState.current()
            XCTAssertEqual(
                state, DeviceState(thermalStatus: 3, batteryPercent: 29, isCharging: true, isLowPowerMode: true))
            StandInDevice.batteryLevel = -1
            StandInDevice.batteryState = .unknown
            let unknown = await DeviceState.current()
            XCTAssertEqual([unknown.batteryPercent == nil, unknown.isCharging == nil], [true, true])
        }
    #endif

    func testThermalStates() {
        let found = ([.nominal, .fair, .serious, .critical] as [ProcessInfo.ThermalState]).map(
            DeviceState.thermalStatus)
        XCTAssertEqual(found, [0, 2, 3, 4])
    }
}

extension CoreMLTests {
    private static func image(
        _ bytes: [UInt8], _ bytesPerPixel: Int, _ alpha: CGImageAlphaInfo, _ space: CFString = CGColorSpace.sRGB
    ) throws -> CGImage {
        let content = NSData(data: Data(bytes)) as CFData
        return try XCTUnwrap(
            CGImage(
                width: size.widthPx, height: size.heightPx, bitsPerComponent: 8, bitsPerPixel: 8 * bytesPerPixel,
                bytesPerRow: bytesPerPixel * size.widthPx, space: XCTUnwrap(CGColorSpace(name: space)),
                bitmapInfo: CGBitmapInfo(rawValue: alpha.rawValue), provider: XCTUnwrap(CGDataProvider(data: content)),
                decode: nil, shouldInterpolate: false, intent: .defaultIntent))
    }

    private static func content(_ image: CGImage) -> [UInt8] {
        guard let data = image.dataProvider?.data else { return [] }
        return [UInt8](data as NSData as Foundation.Data)
    }

    private static func luma(_ row: Int, _ column: Int) -> UInt8 { UInt8((37 * row + 11 * column) % 256) }

    private static func chroma(_ row: Int, _ column: Int, _ which: Int) -> UInt8 {
        UInt8((91 * row + 17 * column + 113 * which) % 256)
    }

    private static func camera(_ format: UInt32, _ matrix: CFString) throws -> CVPixelBuffer {
        var made: CVPixelBuffer?
        XCTAssertEqual(CVPixelBufferCreate(nil, size.widthPx, size.heightPx, format, nil, &made), kCVReturnSuccess)
        let frame = try XCTUnwrap(made)
        CVBufferSetAttachment(frame, kCVImageBufferYCbCrMatrixKey, matrix, .shouldPropagate)
        let lock = try PixelBufferLock(frame, [])
        defer { withExtendedLifetime(lock) {} }
        for (index, height, width) in [(0, 40, 56), (1, 20, 28)] {
            let base = try XCTUnwrap(CVPixelBufferGetBaseAddressOfPlane(frame, index))
            for row in 0..<height {
                let line = (base + row * CVPixelBufferGetBytesPerRowOfPlane(frame, index))
                    .assumingMemoryBound(to: UInt8.self)
                for column in 0..<width {
                    if index == 0 { line[column] = luma(row, column) }
                    for which in 0..<2 where index == 1 { line[2 * column + which] = chroma(row, column, which) }
                }
            }
        }
        return frame
    }

    private static func pixels(_ buffer: CVPixelBuffer) throws -> [UInt8] {
        let frame = try CameraFrame(buffer)
        var rgb: [UInt8] = []
        for row in 0..<frame.size.heightPx { frame.append(row: row, columns: 0..<frame.size.widthPx, to: &rgb) }
        return rgb
    }
}

extension Array {
    fileprivate func chunks(_ count: Int) -> [[Element]] {
        stride(from: 0, to: self.count, by: count).map { Array(self[$0..<$0 + count]) }
    }
}
