import CoreGraphics
import Foundation
import QsrRuntime

/// An image as bytes in sRGB: rows first, then columns, then R, G, B, alpha, the colour not multiplied by alpha.
struct RgbaImage: PixelSource, Sendable {
    let size: PixelSize
    let hasAlpha: Bool
    private let bytes: [UInt8]

    /// What an image of Core Graphics looks like in sRGB, whatever its own colour space; grey becomes equal R, G and B.
    ///
    /// - Throws: ``QsrError/pixels(_:)`` if it is empty, too large, or cannot be drawn.
    init(_ image: CGImage) throws {
        size = PixelSize(heightPx: image.height, widthPx: image.width)
        let count = try byteCount(size) / 3
        hasAlpha = ![.none, .noneSkipLast, .noneSkipFirst].contains(image.alphaInfo)
        var bytes = [UInt8](repeating: 0, count: 4 * count)
        let drawn = bytes.withUnsafeMutableBytes { memory -> Bool in
            guard let space = CGColorSpace(name: CGColorSpace.sRGB),
                let context = CGContext(
                    data: memory.baseAddress, width: image.width, height: image.height, bitsPerComponent: 8,
                    bytesPerRow: 4 * image.width, space: space, bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
            else { return false }
            context.draw(image, in: CGRect(x: 0, y: 0, width: image.width, height: image.height))
            return true
        }
        guard drawn else { throw QsrError.pixels("an image of \(size) that Core Graphics cannot draw; give another") }
        if hasAlpha { Self.divideByAlpha(&bytes) }
        self.bytes = bytes
    }

    private static func divideByAlpha(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBufferPointer { bytes in
            for pixel in stride(from: 0, to: bytes.count, by: 4) {
                let alpha = Int(bytes[pixel + 3])
                if alpha == 0 || alpha == 255 { continue }
                for i in pixel..<pixel + 3 { bytes[i] = UInt8(min(255, (Int(bytes[i]) * 255 + alpha / 2) / alpha)) }
            }
        }
    }

    func append(row: Int, columns: Range<Int>, to rgb: inout [UInt8]) {
        for column in columns {
            let pixel = 4 * (row * size.widthPx + column)
            rgb.append(contentsOf: bytes[pixel..<pixel + 3])
        }
    }

    func alpha(_ row: Int, _ column: Int) -> UInt8 { bytes[4 * (row * size.widthPx + column) + 3] }
}

/// Collects an image in sRGB, opaque or with alpha.
final class PictureSink: PixelSink {
    private let size: PixelSize
    private let memory: UnsafeMutablePointer<UInt8>
    private let count: Int
    private var isHandedOn = false

    /// - Throws: ``QsrError/memory(_:)`` if there is no memory for it.
    init(_ size: PixelSize) throws {
        self.size = size
        count = try byteCount(size) / 3 * 4
        guard let memory = malloc(count) else {
            throw QsrError.memory("no memory for an image of \(size); close other apps")
        }
        self.memory = memory.assumingMemoryBound(to: UInt8.self)
    }

    deinit {
        if !isHandedOn { free(memory) }
    }

    func write(row: Int, column: Int, _ rgb: ArraySlice<UInt8>) {
        var pixel = memory + 4 * (row * size.widthPx + column)
        var at = rgb.startIndex
        while at + 2 < rgb.endIndex {
            (pixel[0], pixel[1], pixel[2], pixel[3]) = (rgb[at], rgb[at + 1], rgb[at + 2], 255)
            pixel += 4
            at += 3
        }
    }

    /// Give every pixel the alpha of the one that it came of.
    func copyAlpha(_ original: RgbaImage) {
        let scale = size.widthPx / original.size.widthPx
        for row in 0..<size.heightPx {
            for column in 0..<size.widthPx {
                memory[4 * (row * size.widthPx + column) + 3] = original.alpha(row / scale, column / scale)
            }
        }
    }

    /// The image; once, as it takes the memory along.
    ///
    /// - Throws: ``QsrError/memory(_:)`` if Core Graphics cannot make it.
    func image(hasAlpha: Bool) throws -> CGImage {
        isHandedOn = true
        let content = NSData(bytesNoCopy: memory, length: count, freeWhenDone: true)
        let alpha = hasAlpha ? CGImageAlphaInfo.last : .noneSkipLast
        guard let space = CGColorSpace(name: CGColorSpace.sRGB), let provider = CGDataProvider(data: content as CFData),
            let image = CGImage(
                width: size.widthPx, height: size.heightPx, bitsPerComponent: 8, bitsPerPixel: 32,
                bytesPerRow: 4 * size.widthPx, space: space, bitmapInfo: CGBitmapInfo(rawValue: alpha.rawValue),
                provider: provider, decode: nil, shouldInterpolate: true, intent: .defaultIntent)
        else { throw QsrError.memory("no memory for an image of \(size); close other apps") }
        return image
    }
}

extension RgbImage {
    /// For Core Graphics, in sRGB.
    ///
    /// - Throws: ``QsrError/memory(_:)`` if there is no memory for it.
    public func makeCGImage() throws -> CGImage {
        let sink = try PictureSink(size)
        let line = channels * size.widthPx
        for row in 0..<size.heightPx { sink.write(row: row, column: 0, pixels[row * line..<(row + 1) * line]) }
        return try sink.image(hasAlpha: false)
    }
}
