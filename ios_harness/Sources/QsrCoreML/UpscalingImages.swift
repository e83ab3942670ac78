import CoreGraphics
import CoreVideo
import Foundation
import QsrRuntime

/// What is handed between tasks though its type does not say that it may be. Core Graphics' images never change; a pixel
/// buffer must be left alone until the call returns.
struct Shared<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// An upscaling that runs: its progress, its result, and how to end it.
public struct Upscaling<Output>: Sendable {
    /// After each tile; ends with the work. For one reader, which gets the latest if it is slow.
    public let progress: AsyncStream<TileProgress>
    private let task: Task<Shared<Output>, any Error>

    init(_ work: @escaping @Sendable (@escaping TileProgressHandler) async throws -> Shared<Output>) {
        let (stream, continuation) = AsyncStream.makeStream(of: TileProgress.self, bufferingPolicy: .bufferingNewest(1))
        progress = stream
        task = Task {
            defer { continuation.finish() }
            return try await work { continuation.yield($0) }
        }
    }

    /// The result; waiting for it in a task that is cancelled ends the upscaling.
    ///
    /// - Throws: what the `upscale` function of ``QsrUpscaler`` throws.
    public func result(isolation: isolated (any Actor)? = #isolation) async throws -> Output {
        try await withTaskCancellationHandler {
            try await task.value.value
        } onCancel: {
            task.cancel()
        }
    }

    /// End it before its next tile, with a `CancellationError`.
    public func cancel() {
        task.cancel()
    }
}

extension QsrUpscaler {
    /// Upscale a picture. Colours under fully transparent pixels are replaced by visible ones nearby, so that soft edges get
    /// no fringe. Alpha goes through the network, which takes a second run wherever it is not flat; opaque stays opaque. If
    /// R = G = B in every visible pixel, it is so in the result. The result has the image's colour space, if that is one
    /// of RGB; else it is in sRGB.
    ///
    /// - Throws: ``QsrError/pixels(_:)`` if the image is empty or too large; ``QsrError/memory(_:)``;
    ///   ``QsrError/model(_:)`` if Core ML fails; ``QsrError/closed(_:)``; `CancellationError` if the task was cancelled.
    public func upscale(
        _ image: CGImage, isolation: isolated (any Actor)? = #isolation
    ) async throws -> CGImage {
        try await upscaled(Shared(image), nil).value
    }

    /// Begin to upscale an image, to see how far it is.
    public nonisolated func upscaling(_ image: CGImage) -> Upscaling<CGImage> {
        let image = Shared(image)
        return Upscaling { progress in try await self.upscaled(image, progress) }
    }

    private func upscaled(_ image: Shared<CGImage>, _ progress: TileProgressHandler?) async throws -> Shared<CGImage> {
        let size = PixelSize(heightPx: image.value.height, widthPx: image.value.width)
        let large = try size.times(scale)
        let bytes = 4 * (size.heightPx * size.widthPx + large.heightPx * large.widthPx)
        return try await whenFree(size, outputBytes: bytes) { model in
            let source = try RgbaImage(image.value)
            let sink = try RgbaSink(large)
            let took = try await run(picture: source, sink, model, progress)
            return (Shared(try sink.image(hasAlpha: source.hasAlpha, space: source.space)), took)
        }
    }

    /// Upscale a frame of a camera, a decoder or a screen: 8-bit BGRA or ARGB, or 4:2:0 YCbCr in two planes, full or video
    /// range, BT.601 or BT.709 as its attachment says. The result is BGRA; of a frame with alpha it has the alpha.
    ///
    /// - Parameter frame: not to be changed until this returns.
    /// - Throws: as for images; ``QsrError/pixels(_:)`` also if the format is another.
    public func upscale(
        _ frame: CVPixelBuffer, isolation: isolated (any Actor)? = #isolation
    ) async throws -> CVPixelBuffer {
        try await upscaled(Shared(frame), nil).value
    }

    /// Begin to upscale a frame, to see how far it is; it is not to be changed until that ends.
    public nonisolated func upscaling(_ frame: CVPixelBuffer) -> Upscaling<CVPixelBuffer> {
        let frame = Shared(frame)
        return Upscaling { progress in try await self.upscaled(frame, progress) }
    }

    private func upscaled(
        _ frame: Shared<CVPixelBuffer>, _ progress: TileProgressHandler?
    ) async throws -> Shared<CVPixelBuffer> {
        let frame = frame.value
        let size = PixelBuffers.size(frame)
        let large = try size.times(scale)
        return try await whenFree(size, outputBytes: 4 * large.heightPx * large.widthPx) { model in
            let output = try PixelBuffers.make(large)
            let source = try CameraFrame(frame)
            let sink = try FrameSink(output)
            let took = try await run(source, sink, model, progress)
            sink.copyAlpha(source, scale: scale)
            return (Shared(output), took)
        }
    }

    /// Upscale bytes. Errors as for images.
    public func upscale(_ image: RgbImage) async throws -> RgbImage {
        try await upscaled(image, nil)
    }

    /// Begin to upscale bytes, to see how far it is.
    public nonisolated func upscaling(_ image: RgbImage) -> Upscaling<RgbImage> {
        Upscaling { progress in Shared(try await self.upscaled(image, progress)) }
    }

    private func upscaled(_ image: RgbImage, _ progress: TileProgressHandler?) async throws -> RgbImage {
        let large = try image.size.times(scale)
        return try await whenFree(image.size, outputBytes: 3 * large.heightPx * large.widthPx) { model in
            let sink = try RgbSink(large)
            let took = try await run(image, sink, model, progress)
            return (sink.image, took)
        }
    }
}
