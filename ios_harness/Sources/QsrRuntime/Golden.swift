/// The image that a bundle's golden hashes belong to.
public struct GoldenInput: Equatable, Sendable {
    public let seed: Int
    public let size: PixelSize

    public init(seed: Int, size: PixelSize) {
        self.seed = seed
        self.size = size
    }

    /// Noise from SplitMix64 that every device can make for itself, every level equally likely: rows first, then columns,
    /// then R, G, B.
    public var image: RgbImage {
        let count = size.heightPx * size.widthPx * 3
        var pixels: [UInt8] = []
        pixels.reserveCapacity(count)
        for n in 1...UInt64(count) {
            var z = UInt64(bitPattern: Int64(seed)) &+ n &* 0x9E37_79B9_7F4A_7C15
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            pixels.append(UInt8(truncatingIfNeeded: (z ^ (z >> 31)) >> 56))
        }
        return RgbImage(uncheckedSize: size, pixels: pixels)
    }
}
