import Foundation

/// A model of a bundle, and how to run it.
package struct ModelSpec: Sendable {
    /// On disk, a file or folder.
    package let file: URL
    /// Its files with their hashes: what tells it from others.
    package let listed: [FileEntry]
    /// Number of residual blocks.
    package let depth: Int
    /// Entry point within the file, if it holds several depths.
    package let signature: String?
    /// Factor by which it enlarges.
    package let scale: Int
    /// The sizes that it takes; none if it takes any.
    package let sizes: [PixelSize]
    /// What it is made for, as the manifest tells.
    package let computeUnits: String?
    /// Family of kernels, one of the loader's; nil for its default.
    package let kernels: String?
}

/// A runtime: Core ML, or what stands for it in tests.
package protocol ModelLoading: Sendable {
    /// What bundles for it have as their target.
    var target: String { get }
    /// Name and version, for people.
    var runtime: String { get }
    /// Families of kernels, the default first.
    var kernels: [String] { get }
    /// The longest side of an input that its models of any size take; nil for any.
    var largestSidePx: Int? { get }

    /// Load a model, while others may run.
    ///
    /// - Throws: ``QsrError/model(_:)`` if it cannot.
    func load(_ spec: ModelSpec) async throws -> any LoadedModel
}

/// A loaded model.
package protocol LoadedModel: Sendable {
    /// Buffers for windows of one size.
    ///
    /// - Throws: ``QsrError/model(_:)`` or ``QsrError/memory(_:)`` if they cannot be made.
    func makeWindow(_ size: PixelSize) throws -> any ModelWindow
}

/// A model's buffers for a window; for one task at a time.
package protocol ModelWindow: Sendable {
    /// Put in the input: rows first, then columns, then R, G, B.
    func fill(_ rgb: [UInt8]) throws

    /// Compute the output; what takes the time.
    func run() async throws

    /// The output, scale times as many rows and columns.
    func read() throws -> [UInt8]
}

extension QsrBundle {
    /// The model of a depth.
    ///
    /// - Throws: ``QsrError/bundle(_:)`` if the bundle is for another runtime or lacks the depth;
    ///   ``QsrError/model(_:)`` if the runtime lacks the kernels.
    package func modelSpec(_ loader: some ModelLoading, depth: Int, kernels: String? = nil) throws -> ModelSpec {
        if manifest.target != loader.target {
            throw QsrError.bundle(
                "\(root.path): is for \(manifest.target), this app runs \(loader.target); "
                    + "convert with --target \(loader.target)")
        }
        if let kernels, !loader.kernels.contains(kernels) {
            let known = loader.kernels.joined(separator: ", ")
            throw QsrError.model("\(loader.runtime) has no kernels '\(kernels)', only \(known); choose one of them")
        }
        let entry = try manifest.depthEntry(depth)
        return ModelSpec(
            file: root.appendingPathComponent(entry.file), listed: manifest.listed(under: entry.file), depth: depth,
            signature: entry.signature, scale: manifest.scale,
            sizes: (manifest.inputSize.map { [$0] } ?? []) + manifest.moreSizes, computeUnits: manifest.computeUnits,
            kernels: kernels)
    }
}
