/// A picture: colours that are not multiplied by their alpha, and alpha.
package protocol PictureSource: PixelSource {
    /// Append the alpha of part of a row, a byte a pixel; 0 is fully transparent. The columns are within the image.
    func appendAlpha(row: Int, columns: Range<Int>, to alpha: inout [UInt8])
}

/// Takes an upscaled picture; opaque until it is told an alpha.
package protocol PictureSink: PixelSink {
    /// Take the alpha of part of a row that begins at a column, whose colours it has.
    func writeAlpha(row: Int, column: Int, _ alpha: ArraySlice<UInt8>)
}

extension TiledUpscaling {
    /// Upscale a picture as the Python package's `upscale_picture` does, byte for byte: colours under transparent pixels are
    /// replaced by visible ones nearby, opacity goes through the network, and R = G = B stays so.
    ///
    /// Parameters and errors as ``run(_:_:tilePx:isolation:check:progress:)``. Progress counts the tiles of opacity too, if
    /// there are any.
    ///
    /// - Returns: the time that the colours took, without the opacity's.
    package func run(
        picture: some PictureSource, _ sink: some PictureSink, tilePx: Int,
        isolation: isolated (any Actor)? = #isolation,
        check: () throws -> Void = {}, progress: (TileProgress) -> Void = { _ in }
    ) async throws -> Duration {
        let start = ContinuousClock.now
        let survey = Survey(picture)
        let passes = survey.isOpaque ? 1 : 2
        let colours: any PixelSource = survey.hasHoles ? HiddenColours(picture) : picture
        let target: any PixelSink = survey.isGrey ? GreySink(sink) : sink
        try await run(colours, target, tilePx: tilePx, check: check) { told in
            progress(TileProgress(done: told.done, total: passes * told.total))
        }
        let took = ContinuousClock.now - start
        if survey.isOpaque { return took }
        let opacity = OpacityPass(picture, sink, scale: scale, gridPx: gridPx)
        try await runTiles(opacity, opacity, tilePx: tilePx, settled: opacity.settle, check: check) { told in
            progress(TileProgress(done: told.total + told.done, total: 2 * told.total))
        }
        return took
    }
}

/// What is to be known of a picture before.
private struct Survey {
    /// Whether every pixel is.
    private(set) var isOpaque = true
    /// Whether some pixels are fully transparent, and some are not.
    let hasHoles: Bool
    /// Whether R = G = B in every pixel that can be seen; in every pixel if none can.
    let isGrey: Bool

    init(_ picture: some PictureSource) {
        let columns = 0..<picture.size.widthPx
        var (isVisible, isHidden) = (false, false)
        var (visibleGrey, hiddenGrey) = (true, true)
        var rgb: [UInt8] = []
        var alphas: [UInt8] = []
        for row in 0..<picture.size.heightPx {
            rgb.removeAll(keepingCapacity: true)
            alphas.removeAll(keepingCapacity: true)
            picture.append(row: row, columns: columns, to: &rgb)
            picture.appendAlpha(row: row, columns: columns, to: &alphas)
            for (i, alpha) in alphas.enumerated() {
                let at = i * channels
                let isGrey = rgb[at] == rgb[at + 1] && rgb[at] == rgb[at + 2]
                if alpha == 0 {
                    isHidden = true
                    hiddenGrey = hiddenGrey && isGrey
                } else {
                    isVisible = true
                    visibleGrey = visibleGrey && isGrey
                }
                isOpaque = isOpaque && alpha == 255
            }
        }
        hasHoles = isVisible && isHidden
        isGrey = isVisible ? visibleGrey : hiddenGrey
    }
}

/// Gives all three channels the luma of what it takes: the network itself may differ by a few levels between them.
private final class GreySink: PixelSink {
    private let sink: any PixelSink
    private var line: [UInt8] = []

    init(_ sink: any PixelSink) { self.sink = sink }

    func write(row: Int, column: Int, _ rgb: ArraySlice<UInt8>) {
        line.removeAll(keepingCapacity: true)
        for at in stride(from: rgb.startIndex, to: rgb.endIndex, by: channels) {
            let grey = luma(rgb[at], rgb[at + 1], rgb[at + 2])
            for _ in 0..<channels { line.append(grey) }
        }
        sink.write(row: row, column: column, line[...])
    }
}
