package io.qsredge.core

/** The self-test's input: an image that every device can make for itself. */
public object Golden {
    /**
     * Noise from SplitMix64, every level equally likely.
     *
     * @return heightPx * widthPx * 3 bytes: rows first, then columns, then R, G, B.
     */
    public fun image(input: GoldenInput): ByteArray =
        ByteArray(input.size.heightPx * input.size.widthPx * 3) { n ->
            var z = input.seed + (n + 1L) * -0x61c8864680b583ebL
            z = (z xor (z ushr 30)) * -0x40a7b892e31b1a47L
            z = (z xor (z ushr 27)) * -0x6b2fb644ecceee15L
            ((z xor (z ushr 31)) ushr 56).toByte()
        }

    /** Lower-case hexadecimal sha256 of an image's bytes, to compare with [DepthEntry.goldenSha256]. */
    public fun sha256Of(image: ByteArray): String = sha256(image)
}
