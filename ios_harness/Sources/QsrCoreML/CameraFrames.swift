import CoreVideo
import Foundation
import QsrRuntime

/// What the numbers of a YUV image mean, in 16-bit fixed point, rounded to the nearest level: for a matrix with the weights
/// Kr and Kb, `R = Y + 2(1-Kr) V', B = Y + 2(1-Kb) U', G = Y - (Kb*2(1-Kb) U' + Kr*2(1-Kr) V') / (1-Kr-Kb)`, with
/// `U' = U - 128`, `V' = V - 128`; in the video range `Y` becomes `255/219 (Y - 16)`, and `U'`, `V'` are taken `255/224`
/// times.
struct YuvWeights: Equatable {
    let black: Int32
    let luma: Int32
    let redOfV: Int32
    let greenOfU: Int32
    let greenOfV: Int32
    let blueOfU: Int32

    init(kr: Double, kb: Double, fullRange: Bool) {
        let (lumaGain, chromaGain) = fullRange ? (1.0, 1.0) : (255.0 / 219, 255.0 / 224)
        func fixed(_ value: Double) -> Int32 { Int32((value * 65536).rounded()) }
        let (ofV, ofU) = (2 * (1 - kr), 2 * (1 - kb))
        func chroma(_ value: Double) -> Int32 { fixed(value * chromaGain) }
        black = fullRange ? 0 : 16
        luma = fixed(lumaGain)
        redOfV = chroma(ofV)
        // Rounded down, as the Android library has it: both give the same bytes.
        greenOfU = Int32(kb * ofU / (1 - kr - kb) * chromaGain * 65536)
        greenOfV = chroma(kr * ofV / (1 - kr - kb))
        blueOfU = chroma(ofU)
    }

    func append(_ y: UInt8, _ u: UInt8, _ v: UInt8, to rgb: inout [UInt8]) {
        let scaled = luma * (Int32(y) - black) + 0x8000
        let (cb, cr) = (Int32(u) - 128, Int32(v) - 128)
        func level(_ value: Int32) -> UInt8 { UInt8(clamping: value >> 16) }
        rgb.append(level(scaled + redOfV * cr))
        rgb.append(level(scaled - greenOfU * cb - greenOfV * cr))
        rgb.append(level(scaled + blueOfU * cb))
    }
}

/// A camera's or decoder's frame, read window by window: there never is an RGB copy of the whole of it. 8-bit BGRA, ARGB,
/// or 4:2:0 YCbCr in two planes of full or video range, by ITU-R BT.601 or BT.709 as its attachment says; without one
/// BT.601 up to 576 rows, else BT.709. One U and one V serve a square of four pixels, unchanged.
struct CameraFrame: PixelSource {
    private enum Content {
        case packed(PixelBuffers.Rows)
        case planes(Plane, Plane, YuvWeights)
    }

    private struct Plane {
        let base: UnsafeMutablePointer<UInt8>
        let bytesPerRow: Int

        init(_ buffer: CVPixelBuffer, _ index: Int) throws {
            guard let base = CVPixelBufferGetBaseAddressOfPlane(buffer, index) else {
                throw QsrError.pixels("a pixel buffer without plane \(index); give one whose memory the CPU can reach")
            }
            self.base = base.assumingMemoryBound(to: UInt8.self)
            bytesPerRow = CVPixelBufferGetBytesPerRowOfPlane(buffer, index)
        }
    }

    let size: PixelSize
    private let content: Content
    private let lock: PixelBufferLock

    /// - Throws: ``QsrError/pixels(_:)`` if it is of another format or matrix.
    init(_ buffer: CVPixelBuffer) throws {
        size = PixelBuffers.size(buffer)
        try checkSize(size)
        lock = try PixelBufferLock(buffer, .readOnly)
        let format = CVPixelBufferGetPixelFormatType(buffer)
        switch format {
        case kCVPixelFormatType_420YpCbCr8BiPlanarFullRange, kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange:
            let isFull = format == kCVPixelFormatType_420YpCbCr8BiPlanarFullRange
            content = .planes(
                try Plane(buffer, 0), try Plane(buffer, 1), try Self.weights(buffer, size, fullRange: isFull))
        default:
            content = .packed(try PixelBuffers.Rows(buffer))
        }
    }

    private static func weights(_ buffer: CVPixelBuffer, _ size: PixelSize, fullRange: Bool) throws -> YuvWeights {
        let bt601 = YuvWeights(kr: 0.299, kb: 0.114, fullRange: fullRange)
        let bt709 = YuvWeights(kr: 0.2126, kb: 0.0722, fullRange: fullRange)
        guard let told = CVBufferCopyAttachment(buffer, kCVImageBufferYCbCrMatrixKey, nil) as? NSString else {
            return size.heightPx <= 576 ? bt601 : bt709
        }
        if told == kCVImageBufferYCbCrMatrix_ITU_R_601_4 as NSString { return bt601 }
        if told == kCVImageBufferYCbCrMatrix_ITU_R_709_2 as NSString { return bt709 }
        throw QsrError.pixels("a frame of the matrix \(told), expected ITU-R 601 or 709; convert it before")
    }

    func append(row: Int, columns: Range<Int>, to rgb: inout [UInt8]) {
        switch content {
        case .packed(let rows):
            rows.append(row, columns, to: &rgb)
        case .planes(let luma, let chroma, let weights):
            let line = luma.base + row * luma.bytesPerRow
            let pairs = chroma.base + row / 2 * chroma.bytesPerRow
            for column in columns {
                weights.append(line[column], pairs[column / 2 * 2], pairs[column / 2 * 2 + 1], to: &rgb)
            }
        }
    }

    /// The alpha of a pixel, where there is one.
    func alpha(_ row: Int, _ column: Int) -> UInt8 {
        if case .packed(let rows) = content { rows.alpha(row, column) } else { 255 }
    }
}

/// Writes into a locked buffer of BGRA.
final class FrameSink: PixelSink {
    private let rows: PixelBuffers.Rows
    private let size: PixelSize
    private let lock: PixelBufferLock

    init(_ buffer: CVPixelBuffer) throws {
        lock = try PixelBufferLock(buffer, [])
        rows = try PixelBuffers.Rows(buffer)
        size = PixelBuffers.size(buffer)
    }

    /// Give every pixel the alpha of the one that it came of.
    func copyAlpha(_ original: CameraFrame, scale: Int) {
        for row in 0..<size.heightPx {
            for column in 0..<size.widthPx { rows.setAlpha(row, column, original.alpha(row / scale, column / scale)) }
        }
    }

    func write(row: Int, column: Int, _ rgb: ArraySlice<UInt8>) {
        rows.write(row, column, rgb)
    }
}
