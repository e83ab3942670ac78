// Stands in for Core Video on Linux; see ../README.md. What a line `// objc` says is checked by tests/unit/ios.
@_exported import CoreGraphics

// objc: type CVReturn
public typealias CVReturn = Int32
// objc: const kCVReturnSuccess = 0
public let kCVReturnSuccess: CVReturn = 0
// objc: const kCVPixelFormatType_32BGRA = 1111970369
public let kCVPixelFormatType_32BGRA: UInt32 = 0x4247_5241
// objc: const kCVPixelFormatType_32ARGB = 32
public let kCVPixelFormatType_32ARGB: UInt32 = 32
// objc: const kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange = 875704438
public let kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange: UInt32 = 0x3432_3076
// objc: const kCVPixelFormatType_420YpCbCr8BiPlanarFullRange = 875704422
public let kCVPixelFormatType_420YpCbCr8BiPlanarFullRange: UInt32 = 0x3432_3066
// objc: const kCVPixelBufferIOSurfacePropertiesKey
nonisolated(unsafe) public let kCVPixelBufferIOSurfacePropertiesKey = NSString(string: "IOSurfaceProperties")
// objc: const kCVImageBufferYCbCrMatrixKey
nonisolated(unsafe) public let kCVImageBufferYCbCrMatrixKey = NSString(string: "CVImageBufferYCbCrMatrix")
// objc: const kCVImageBufferYCbCrMatrix_ITU_R_601_4
nonisolated(unsafe) public let kCVImageBufferYCbCrMatrix_ITU_R_601_4 = NSString(string: "ITU_R_601_4")
// objc: const kCVImageBufferYCbCrMatrix_ITU_R_709_2
nonisolated(unsafe) public let kCVImageBufferYCbCrMatrix_ITU_R_709_2 = NSString(string: "ITU_R_709_2")

// objc: enum CVPixelBufferLockFlags
public struct CVPixelBufferLockFlags: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    // objc: case kCVPixelBufferLock_ReadOnly = 1
    public static let readOnly = CVPixelBufferLockFlags(rawValue: 1)
}

// objc: type CVPixelBufferRef
public final class CVPixelBuffer {
    package struct Plane {
        package let base: UnsafeMutableRawPointer
        package let width: Int
        package let height: Int
        package let bytesPerRow: Int
    }

    package let format: UInt32
    package let planes: [Plane]
    var attachments: [NSString: NSString] = [:]
    fileprivate var locks = 0

    fileprivate init?(_ width: Int, _ height: Int, _ format: UInt32) {
        guard width > 0, height > 0 else { return nil }
        self.format = format
        func plane(_ width: Int, _ height: Int, _ pixelBytes: Int) -> Plane {
            // Rows are padded, as on a phone.
            let bytesPerRow = (width * pixelBytes + 63) / 64 * 64
            let base = UnsafeMutableRawPointer.allocate(byteCount: bytesPerRow * height, alignment: 64)
            return Plane(base: base, width: width, height: height, bytesPerRow: bytesPerRow)
        }
        switch format {
        case kCVPixelFormatType_32BGRA, kCVPixelFormatType_32ARGB:
            planes = [plane(width, height, 4)]
        case kCVPixelFormatType_420YpCbCr8BiPlanarVideoRange, kCVPixelFormatType_420YpCbCr8BiPlanarFullRange:
            planes = [plane(width, height, 1), plane((width + 1) / 2, (height + 1) / 2, 2)]
        default:
            return nil
        }
    }

    deinit { for plane in planes { plane.base.deallocate() } }

    fileprivate func locked(_ index: Int) -> UnsafeMutableRawPointer? {
        // As Apple's documentation has it, the address is nobody's to use before.
        locks > 0 && planes.indices.contains(index) ? planes[index].base : nil
    }

    fileprivate func lock(_ step: Int) -> CVReturn {
        locks += step
        return locks < 0 ? -6660 : kCVReturnSuccess
    }
}

// objc: func CVPixelBufferCreate(allocator, width, height, pixelFormatType, pixelBufferAttributes, pixelBufferOut)
public func CVPixelBufferCreate(
    _ allocator: AnyObject?, _ width: Int, _ height: Int, _ pixelFormatType: UInt32,
    _ pixelBufferAttributes: CFDictionary?, _ pixelBufferOut: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
    pixelBufferOut.pointee = CVPixelBuffer(width, height, pixelFormatType)
    return pixelBufferOut.pointee == nil ? -6680 : kCVReturnSuccess
}

// objc: func CVPixelBufferLockBaseAddress(pixelBuffer, lockFlags)
public func CVPixelBufferLockBaseAddress(_ pixelBuffer: CVPixelBuffer, _ lockFlags: CVPixelBufferLockFlags) -> CVReturn
{
    pixelBuffer.lock(1)
}

// objc: func CVPixelBufferUnlockBaseAddress(pixelBuffer, unlockFlags)
@discardableResult
public func CVPixelBufferUnlockBaseAddress(
    _ pixelBuffer: CVPixelBuffer, _ unlockFlags: CVPixelBufferLockFlags
) -> CVReturn {
    pixelBuffer.lock(-1)
}

// objc: func CVPixelBufferGetBaseAddress(pixelBuffer)
public func CVPixelBufferGetBaseAddress(_ pixelBuffer: CVPixelBuffer) -> UnsafeMutableRawPointer? {
    pixelBuffer.locked(0)
}

// objc: func CVPixelBufferGetBytesPerRow(pixelBuffer)
public func CVPixelBufferGetBytesPerRow(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.planes[0].bytesPerRow }

// objc: func CVPixelBufferGetWidth(pixelBuffer)
public func CVPixelBufferGetWidth(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.planes[0].width }

// objc: func CVPixelBufferGetHeight(pixelBuffer)
public func CVPixelBufferGetHeight(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.planes[0].height }

// objc: func CVPixelBufferGetPixelFormatType(pixelBuffer)
public func CVPixelBufferGetPixelFormatType(_ pixelBuffer: CVPixelBuffer) -> UInt32 { pixelBuffer.format }

// objc: func CVPixelBufferGetBaseAddressOfPlane(pixelBuffer, planeIndex)
public func CVPixelBufferGetBaseAddressOfPlane(
    _ pixelBuffer: CVPixelBuffer, _ planeIndex: Int
) -> UnsafeMutableRawPointer? {
    pixelBuffer.locked(planeIndex)
}

// objc: func CVPixelBufferGetBytesPerRowOfPlane(pixelBuffer, planeIndex)
public func CVPixelBufferGetBytesPerRowOfPlane(_ pixelBuffer: CVPixelBuffer, _ planeIndex: Int) -> Int {
    pixelBuffer.planes[planeIndex].bytesPerRow
}

// objc: func CVBufferCopyAttachment(buffer, key, attachmentMode)
public func CVBufferCopyAttachment(
    _ buffer: CVPixelBuffer, _ key: CFString, _ attachmentMode: UnsafeMutablePointer<CVAttachmentMode>?
) -> AnyObject? {
    buffer.attachments[key]
}

// objc: func CVBufferSetAttachment(buffer, key, value, attachmentMode)
public func CVBufferSetAttachment(
    _ buffer: CVPixelBuffer, _ key: CFString, _ value: AnyObject, _ attachmentMode: CVAttachmentMode
) {
    buffer.attachments[key] = value as? NSString
}

// objc: enum CVAttachmentMode
public enum CVAttachmentMode: UInt32, Sendable {
    // objc: case kCVAttachmentMode_ShouldPropagate = 1
    case shouldPropagate = 1
}
