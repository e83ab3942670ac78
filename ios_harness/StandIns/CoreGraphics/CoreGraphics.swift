// Stands in for Core Graphics on Linux; see ../README.md. What a line `// objc` says is checked by tests/unit/ios.
@_exported import Foundation

// objc: type CFString
public typealias CFString = NSString
// objc: type CFDictionary
public typealias CFDictionary = NSDictionary
// objc: type CFData
public typealias CFData = NSData

// objc: enum CGImageAlphaInfo
public enum CGImageAlphaInfo: UInt32, Sendable {
    // objc: case kCGImageAlphaNone = 0
    case none = 0
    // objc: case kCGImageAlphaPremultipliedLast = 1
    case premultipliedLast = 1
    // objc: case kCGImageAlphaLast = 3
    case last = 3
    // objc: case kCGImageAlphaNoneSkipLast = 5
    case noneSkipLast = 5
    // objc: case kCGImageAlphaNoneSkipFirst = 6
    case noneSkipFirst = 6
}

// objc: enum CGBitmapInfo
public struct CGBitmapInfo: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

// objc: enum CGColorRenderingIntent
public enum CGColorRenderingIntent: Int32, Sendable {
    // objc: case kCGRenderingIntentDefault = 0
    case defaultIntent = 0
}

// objc: enum CGColorSpaceModel
public enum CGColorSpaceModel: Int32, Sendable {
    // objc: case kCGColorSpaceModelMonochrome = 0
    case monochrome = 0
    // objc: case kCGColorSpaceModelRGB = 1
    case rgb = 1
}

// objc: ref CGColorSpaceRef
public final class CGColorSpace {
    // objc: const kCGColorSpaceSRGB
    nonisolated(unsafe) public static let sRGB = NSString(string: "kCGColorSpaceSRGB")
    // objc: const kCGColorSpaceDisplayP3
    nonisolated(unsafe) public static let displayP3 = NSString(string: "kCGColorSpaceDisplayP3")
    // objc: const kCGColorSpaceGenericGrayGamma2_2
    nonisolated(unsafe) public static let genericGrayGamma2_2 = NSString(string: "kCGColorSpaceGenericGrayGamma2_2")
    let known: NSString

    // objc: func CGColorSpaceCreateWithName(name)
    public init?(name: CFString) {
        guard [Self.sRGB, Self.displayP3, Self.genericGrayGamma2_2].contains(name) else { return nil }
        known = name
    }

    // objc: func CGColorSpaceGetModel(space)
    public var model: CGColorSpaceModel { known == Self.genericGrayGamma2_2 ? .monochrome : .rgb }

    // objc: func CGColorSpaceSupportsOutput(space)
    public var supportsOutput: Bool { true }

    // objc: func CGColorSpaceGetName(space)
    public var name: CFString? { known }
}

// objc: ref CGDataProviderRef
public final class CGDataProvider {
    let content: NSData
    // objc: func CGDataProviderCreateWithCFData(data)
    public init?(data: CFData) { content = data }
    // objc: func CGDataProviderCopyData(provider)
    public var data: CFData? { content }
}

// objc: ref CGImageRef
public final class CGImage {
    // objc: func CGImageGetWidth(image)
    public let width: Int
    // objc: func CGImageGetHeight(image)
    public let height: Int
    // objc: func CGImageGetAlphaInfo(image)
    public let alphaInfo: CGImageAlphaInfo
    // objc: func CGImageGetDataProvider(image)
    public let dataProvider: CGDataProvider?
    // objc: func CGImageGetColorSpace(image)
    public let colorSpace: CGColorSpace?
    let bytesPerPixel: Int
    let bytesPerRow: Int

    // objc: func CGImageCreate(width, height, bitsPerComponent, bitsPerPixel, bytesPerRow, space, bitmapInfo, provider, decode, shouldInterpolate, intent)
    public init?(
        width: Int, height: Int, bitsPerComponent: Int, bitsPerPixel: Int, bytesPerRow: Int, space: CGColorSpace,
        bitmapInfo: CGBitmapInfo, provider: CGDataProvider, decode: UnsafePointer<CGFloat>?, shouldInterpolate: Bool,
        intent: CGColorRenderingIntent
    ) {
        guard bitsPerComponent == 8, let alpha = CGImageAlphaInfo(rawValue: bitmapInfo.rawValue), height > 0, width > 0,
            bytesPerRow >= width * bitsPerPixel / 8, provider.content.length >= bytesPerRow * height
        else { return nil }
        (self.width, self.height, self.bytesPerRow, colorSpace) = (width, height, bytesPerRow, space)
        (bytesPerPixel, alphaInfo, dataProvider) = (bitsPerPixel / 8, alpha, provider)
    }

    /// Colour in a space, and alpha.
    func pixel(_ row: Int, _ column: Int, in space: CGColorSpace) -> (rgb: [UInt8], alpha: UInt8) {
        guard let content = dataProvider?.content else { return ([0, 0, 0], 255) }
        let start = row * bytesPerRow + column * bytesPerPixel
        let bytes = content.bytes.advanced(by: start).assumingMemoryBound(to: UInt8.self)
        if colorSpace?.known == CGColorSpace.genericGrayGamma2_2 { return ([bytes[0], bytes[0], bytes[0]], 255) }
        var rgb = [bytes[0], bytes[1], bytes[2]]
        precondition(colorSpace?.known == space.known, "the stand-in converts grey alone")
        guard alphaInfo == .last || alphaInfo == .premultipliedLast else { return (rgb, 255) }
        let alpha = bytes[3]
        if alphaInfo == .premultipliedLast, alpha > 0 {
            rgb = rgb.map { UInt8(min(255, (Int($0) * 255 + Int(alpha) / 2) / Int(alpha))) }
        }
        return (rgb, alpha)
    }
}

// objc: ref CGContextRef
public final class CGContext {
    private let bytes: UnsafeMutablePointer<UInt8>
    private let width: Int
    private let height: Int
    private let bytesPerRow: Int
    private let space: CGColorSpace

    // objc: func CGBitmapContextCreate(data, width, height, bitsPerComponent, bytesPerRow, space, bitmapInfo)
    public init?(
        data: UnsafeMutableRawPointer?, width: Int, height: Int, bitsPerComponent: Int, bytesPerRow: Int,
        space: CGColorSpace, bitmapInfo: UInt32
    ) {
        // Core Graphics draws into no bitmap whose colours are not multiplied by their alpha.
        guard let data, bitsPerComponent == 8, space.model == .rgb, bytesPerRow >= 4 * width,
            bitmapInfo == CGImageAlphaInfo.premultipliedLast.rawValue
        else { return nil }
        bytes = data.assumingMemoryBound(to: UInt8.self)
        (self.width, self.height, self.bytesPerRow, self.space) = (width, height, bytesPerRow, space)
    }

    // objc: func CGContextDrawImage(c, rect, image)
    public func draw(_ image: CGImage, in rect: CGRect) {
        precondition(rect == CGRect(x: 0, y: 0, width: width, height: height), "the stand-in does not scale")
        precondition(image.width == width && image.height == height, "the stand-in does not scale")
        for row in 0..<height {
            for column in 0..<width {
                let (rgb, alpha) = image.pixel(row, column, in: space)
                let into = bytes + row * bytesPerRow + 4 * column
                for i in 0..<3 { into[i] = UInt8((Int(rgb[i]) * Int(alpha) + 127) / 255) }
                into[3] = alpha
            }
        }
    }
}
