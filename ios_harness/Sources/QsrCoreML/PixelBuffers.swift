import CoreVideo
import Foundation
import QsrRuntime

/// Buffers of pixels as Core ML takes and gives them.
enum PixelBuffers {
    /// A new one of 8-bit BGRA; its content is undefined.
    ///
    /// - Throws: ``QsrError/memory(_:)`` if it cannot be made.
    static func make(_ size: PixelSize) throws -> CVPixelBuffer {
        // With a surface that GPU and Neural Engine read without a copy.
        let surface = NSDictionary(object: NSDictionary(), forKey: kCVPixelBufferIOSurfacePropertiesKey as NSString)
        var made: CVPixelBuffer?
        let status = CVPixelBufferCreate(
            nil, size.widthPx, size.heightPx, kCVPixelFormatType_32BGRA, surface as CFDictionary, &made)
        guard status == kCVReturnSuccess, let made else {
            throw QsrError.memory(
                "an image of \(size) cannot be made (Core Video's error \(status)); use smaller tiles")
        }
        return made
    }

    static func size(_ buffer: CVPixelBuffer) -> PixelSize {
        PixelSize(heightPx: CVPixelBufferGetHeight(buffer), widthPx: CVPixelBufferGetWidth(buffer))
    }

    /// Set all pixels of BGRA, opaque.
    static func write(_ rgb: [UInt8], to buffer: CVPixelBuffer) throws {
        let size = size(buffer)
        let lock = try PixelBufferLock(buffer, [])
        defer { withExtendedLifetime(lock) {} }
        let rows = try Rows(buffer)
        let line = channels * size.widthPx
        for row in 0..<size.heightPx { rows.write(row, 0, rgb[row * line..<(row + 1) * line]) }
    }

    /// All pixels of BGRA or ARGB, without alpha.
    ///
    /// - Throws: ``QsrError/pixels(_:)`` if it is of another size or format.
    static func read(_ buffer: CVPixelBuffer, expected: PixelSize) throws -> [UInt8] {
        let size = size(buffer)
        guard size == expected else {
            throw QsrError.pixels("an output of \(size), expected \(expected); convert the bundle anew")
        }
        var rgb: [UInt8] = []
        rgb.reserveCapacity(try byteCount(size))
        let lock = try PixelBufferLock(buffer, .readOnly)
        defer { withExtendedLifetime(lock) {} }
        let rows = try Rows(buffer)
        for row in 0..<size.heightPx { rows.append(row, 0..<size.widthPx, to: &rgb) }
        return rgb
    }

    /// Rows of four bytes a pixel in a locked buffer.
    struct Rows {
        private let base: UnsafeMutablePointer<UInt8>
        private let bytesPerRow: Int
        // Where red, green, blue and alpha are within a pixel.
        private let (red, green, blue, alpha): (Int, Int, Int, Int)

        init(_ buffer: CVPixelBuffer) throws {
            guard let base = CVPixelBufferGetBaseAddress(buffer) else {
                throw QsrError.pixels("a pixel buffer without memory; give one whose memory the CPU can reach")
            }
            switch CVPixelBufferGetPixelFormatType(buffer) {
            case kCVPixelFormatType_32BGRA: (red, green, blue, alpha) = (2, 1, 0, 3)
            case kCVPixelFormatType_32ARGB: (red, green, blue, alpha) = (1, 2, 3, 0)
            case let other:
                throw QsrError.pixels("a pixel buffer of the format \(code(other)), expected BGRA; convert it before")
            }
            self.base = base.assumingMemoryBound(to: UInt8.self)
            bytesPerRow = CVPixelBufferGetBytesPerRow(buffer)
        }

        func append(_ row: Int, _ columns: Range<Int>, to rgb: inout [UInt8]) {
            let line = base + row * bytesPerRow
            for column in columns {
                let pixel = line + 4 * column
                rgb.append(pixel[red])
                rgb.append(pixel[green])
                rgb.append(pixel[blue])
            }
        }

        func write(_ row: Int, _ column: Int, _ rgb: ArraySlice<UInt8>) {
            var pixel = base + row * bytesPerRow + 4 * column
            var at = rgb.startIndex
            while at + 2 < rgb.endIndex {
                (pixel[red], pixel[green], pixel[blue], pixel[alpha]) = (rgb[at], rgb[at + 1], rgb[at + 2], 255)
                pixel += 4
                at += 3
            }
        }

        func alpha(_ row: Int, _ column: Int) -> UInt8 { base[row * bytesPerRow + 4 * column + alpha] }

        func setAlpha(_ row: Int, _ column: Int, _ value: UInt8) {
            base[row * bytesPerRow + 4 * column + alpha] = value
        }
    }

    /// A format as its four letters, or its number.
    static func code(_ format: UInt32) -> String {
        let letters = (0..<4).map { UInt8(truncatingIfNeeded: format >> (24 - 8 * $0)) }
        return letters.allSatisfy { 0x20...0x7E ~= $0 } ? "'\(String(decoding: letters, as: UTF8.self))'" : "\(format)"
    }
}

/// Keeps a buffer's memory within reach as long as it lives.
final class PixelBufferLock {
    private let buffer: CVPixelBuffer
    private let flags: CVPixelBufferLockFlags

    /// - Throws: ``QsrError/pixels(_:)`` if it cannot be reached.
    init(_ buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags) throws {
        self.buffer = buffer
        self.flags = flags
        let status = CVPixelBufferLockBaseAddress(buffer, flags)
        guard status == kCVReturnSuccess else {
            throw QsrError.pixels(
                "a pixel buffer cannot be read or written (Core Video's error \(status)); give another")
        }
    }

    deinit {
        CVPixelBufferUnlockBaseAddress(buffer, flags)
    }
}
