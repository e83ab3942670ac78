import CoreGraphics
import Foundation
import QsrRuntime

/// An image as bytes: rows first, then columns, then R, G, B, alpha, the colour not multiplied by alpha.
struct RgbaImage: PictureSource {
    let size: PixelSize
    let hasAlpha: Bool
    /// What the numbers mean.
    let space: CGColorSpace
    private let bytes: [UInt8]

    /// The numbers of an image in its own colour space, such as Display P3, if that is one of RGB that can be drawn in;
    /// else what it looks like in sRGB. Grey becomes equal R, G and B.
    ///
    /// - Throws: ``QsrError/pixels(_:)`` if it is empty, too large, or cannot be drawn.
    init(_ image: CGImage) throws {
        size = PixelSize(heightPx: image.height, widthPx: image.width)
        let count = try byteCount(size) / 3
        hasAlpha = ![.none, .noneSkipLast, .noneSkipFirst].contains(image.alphaInfo)
        var bytes = [UInt8](repeating: 0, count: 4 * count)
        let own = image.colorSpace.flatMap { $0.model == .rgb && $0.supportsOutput ? $0 : nil }
        let spaces = [own, CGColorSpace(name: CGColorSpace.sRGB)].compactMap { $0 }
        guard let space = spaces.first(where: { Self.draw(image, in: $0, &bytes) }) else {
            throw QsrError.pixels("an image of \(size) that Core Graphics cannot draw; give another")
        }
        if hasAlpha { Self.divideByAlpha(&bytes) }
        (self.bytes, self.space) = (bytes, space)
    }

    /// Whether a space can be drawn in; the bytes are left as they are if not.
    private static func draw(_ image: CGImage, in space: CGColorSpace, _ bytes: inout [UInt8]) -> Bool {
        bytes.withUnsafeMutableBytes { memory in
            guard
                let context = CGContext(
                    data: memory.baseAddress, width: image.width, height: image.height, bitsPerComponent: 8,
                    bytesPerRow: 4 * image.width, space: space, bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
            else { return false }
            context.draw(image, in: CGRect(x: 0, y: 0, width: image.width, height: image.height))
            return true
        }
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

    func appendAlpha(row: Int, columns: Range<Int>, to alpha: inout [UInt8]) {
        for column in columns { alpha.append(bytes[4 * (row * size.widthPx + column) + 3]) }
    }
}

/// Collects an image, opaque or with alpha.
final class RgbaSink: PictureSink {
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

    func writeAlpha(row: Int, column: Int, _ alpha: ArraySlice<UInt8>) {
        let start = memory + 4 * (row * size.widthPx + column)
        for (i, value) in alpha.enumerated() { start[4 * i + 3] = value }
    }

    /// The image; once, as it takes the memory along.
    ///
    /// - Parameters:
    ///   - hasAlpha: whether its alpha counts.
    ///   - space: what its numbers mean; nil for sRGB.
    /// - Throws: ``QsrError/memory(_:)`` if Core Graphics cannot make it.
    func image(hasAlpha: Bool, space: CGColorSpace? = nil) throws -> CGImage {
        isHandedOn = true
        let content = NSData(bytesNoCopy: memory, length: count, freeWhenDone: true)
        let alpha = hasAlpha ? CGImageAlphaInfo.last : .noneSkipLast
        guard let space = space ?? CGColorSpace(name: CGColorSpace.sRGB),
            let provider = CGDataProvider(data: content as CFData),
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
        let sink = try RgbaSink(size)
        let line = channels * size.widthPx
        for row in 0..<size.heightPx { sink.write(row: row, column: 0, pixels[row * line..<(row + 1) * line]) }
        return try sink.image(hasAlpha: false)
    }
}
