/// An image to upscale, read in parts of rows so that no second copy of it is needed. For one task at a time.
package protocol PixelSource {
    var size: PixelSize { get }

    /// Append part of a row, three bytes a pixel: R, G, B. The columns are within the image.
    func append(row: Int, columns: Range<Int>, to rgb: inout [UInt8])
}

/// Takes an upscaled image, part of a row by part of a row; every pixel once. For one task at a time.
package protocol PixelSink: AnyObject {
    /// Take part of a row that begins at a column: R, G, B of each pixel.
    func write(row: Int, column: Int, _ rgb: ArraySlice<UInt8>)
}

/// An image as bytes: rows first, then columns, then R, G, B.
public struct RgbImage: Equatable, Sendable, PixelSource {
    public let size: PixelSize
    public private(set) var pixels: [UInt8]

    /// - Throws: ``QsrError/pixels(_:)`` if the image is empty or has another number of bytes.
    public init(size: PixelSize, pixels: [UInt8]) throws {
        let bytes = try byteCount(size)
        guard pixels.count == bytes else {
            throw QsrError.pixels("\(pixels.count) bytes, an image of \(size) takes \(bytes); give it all its rows")
        }
        self.init(uncheckedSize: size, pixels: pixels)
    }

    init(uncheckedSize size: PixelSize, pixels: [UInt8]) {
        self.size = size
        self.pixels = pixels
    }

    package func append(row: Int, columns: Range<Int>, to rgb: inout [UInt8]) {
        let start = (row * size.widthPx + columns.lowerBound) * channels
        rgb.append(contentsOf: pixels[start..<start + columns.count * channels])
    }
}

/// Collects an ``RgbImage``.
package final class RgbSink: PixelSink {
    private let size: PixelSize
    private var pixels: [UInt8]

    /// - Throws: ``QsrError/pixels(_:)`` if the image is empty or too large.
    package init(_ size: PixelSize) throws {
        self.size = size
        pixels = [UInt8](repeating: 0, count: try byteCount(size))
    }

    package func write(row: Int, column: Int, _ rgb: ArraySlice<UInt8>) {
        let start = (row * size.widthPx + column) * channels
        pixels.replaceSubrange(start..<start + rgb.count, with: rgb)
    }

    /// What was written; black where nothing was.
    package var image: RgbImage { RgbImage(uncheckedSize: size, pixels: pixels) }
}

package let channels = 3

/// Bytes of an RGB image.
///
/// - Throws: ``QsrError/pixels(_:)`` if it is empty, or larger than 2 GiB.
package func byteCount(_ size: PixelSize) throws -> Int {
    try checkSize(size)
    let (pixels, overflow) = size.heightPx.multipliedReportingOverflow(by: size.widthPx)
    guard !overflow, pixels <= Int(Int32.max) / channels else {
        throw QsrError.pixels("an image of \(size) takes more than 2 GiB; upscale parts of it")
    }
    return pixels * channels
}

package func checkSize(_ size: PixelSize) throws {
    guard size.heightPx >= 1, size.widthPx >= 1 else {
        throw QsrError.pixels("an image of \(size) is empty; give one with pixels")
    }
}

extension PixelSize {
    /// Of what becomes of an image.
    ///
    /// - Throws: ``QsrError/pixels(_:)`` if it is empty, or larger than 2 GiB as RGB.
    package func times(_ scale: Int) throws -> PixelSize {
        _ = try byteCount(self)
        let large = PixelSize(heightPx: heightPx * scale, widthPx: widthPx * scale)
        _ = try byteCount(large)
        return large
    }
}
