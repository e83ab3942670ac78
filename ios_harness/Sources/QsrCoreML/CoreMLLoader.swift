import CoreML
import Foundation
import QsrRuntime

/// Core ML, which runs the packages that `qsr-edge convert --target coreml` writes.
package struct CoreMLLoader: ModelLoading {
    /// All compute units, or the CPU alone; by the names that the device protocol has for them.
    package enum Kernels: String, CaseIterable {
        case all = "coreml"
        case cpu = "coreml-cpu"
    }

    private let compiled: CompiledModels

    /// - Parameter storage: folder for compiled models; nil for this app's own.
    package init(storage: URL? = nil) {
        compiled = CompiledModels(in: storage ?? CompiledModels.storage)
    }

    package var target: String { "coreml" }
    package var runtime: String { "Core ML, \(ProcessInfo.processInfo.operatingSystemVersionString)" }
    package var kernels: [String] { Kernels.allCases.map(\.rawValue) }
    /// What the packages say of themselves.
    package var largestSidePx: Int? { 2048 }

    package func load(_ spec: ModelSpec) async throws -> any LoadedModel {
        let configuration = try Self.configuration(spec)
        let place = try await compiled.find(spec)
        do {
            return try CoreMLModel(try await MLModel.load(contentsOf: place, configuration: configuration), spec)
        } catch {
            // What an earlier system compiled, or a full disk cut, is compiled anew; what then fails is told.
            let renewed = try await compiled.renew(spec)
            do {
                return try CoreMLModel(try await MLModel.load(contentsOf: renewed, configuration: configuration), spec)
            } catch {
                throw Self.failure(spec, "cannot be loaded", error)
            }
        }
    }

    private static func configuration(_ spec: ModelSpec) throws -> MLModelConfiguration {
        let configuration = MLModelConfiguration()
        switch spec.kernels.flatMap(Kernels.init) {
        case .cpu: configuration.computeUnits = .cpuOnly
        case .all: configuration.computeUnits = .all
        case nil: configuration.computeUnits = computeUnits(spec.computeUnits)
        }
        if let function = spec.signature {
            guard #available(iOS 18, macOS 15, *) else {
                throw QsrError.model(
                    "\(spec.file.path): holds several depths, which needs iOS 18; convert with --pack per-depth")
            }
            configuration.functionName = function
        }
        return configuration
    }

    /// What a manifest's `compute_units` ask for: the first words count, the rest is for people.
    static func computeUnits(_ told: String?) -> MLComputeUnits {
        switch told?.split(separator: ";").first {
        case "CPU": .cpuOnly
        case "CPU and GPU": .cpuAndGPU
        case "Neural Engine": .cpuAndNeuralEngine
        default: .all
        }
    }

    static func failure(_ spec: ModelSpec, _ what: String, _ error: any Error) -> any Error {
        if error is CancellationError || Task.isCancelled { return CancellationError() }
        if error is QsrError { return error }
        return QsrError.model(
            "\(spec.file.path): \(what) by Core ML (\(oneLine(error))); fetch the bundle anew, or update the system")
    }
}

/// A loaded package. Core ML's predictions may be asked for on any thread; what changes here are windows only.
private final class CoreMLModel: LoadedModel, @unchecked Sendable {
    fileprivate let model: MLModel
    fileprivate let spec: ModelSpec
    fileprivate let input: String
    fileprivate let output: String

    init(_ model: MLModel, _ spec: ModelSpec) throws {
        let interface = model.modelDescription
        guard let input = interface.inputDescriptionsByName.keys.first,
            let output = interface.outputDescriptionsByName.keys.first
        else {
            throw QsrError.model("\(spec.file.path): takes or gives no image; convert it with qsr-edge")
        }
        (self.model, self.spec, self.input, self.output) = (model, spec, input, output)
    }

    func makeWindow(_ size: PixelSize) throws -> any ModelWindow {
        try CoreMLWindow(self, size)
    }
}

/// For one task at a time, as ``ModelWindow`` has it.
private final class CoreMLWindow: ModelWindow, @unchecked Sendable {
    private let model: CoreMLModel
    private let size: PixelSize
    private let image: CVPixelBuffer
    private let features: MLDictionaryFeatureProvider
    private var made: (any MLFeatureProvider)?

    init(_ model: CoreMLModel, _ size: PixelSize) throws {
        self.model = model
        self.size = size
        image = try PixelBuffers.make(size)
        do {
            features = try MLDictionaryFeatureProvider(dictionary: [model.input: MLFeatureValue(pixelBuffer: image)])
        } catch {
            throw CoreMLLoader.failure(model.spec, "cannot be given an image", error)
        }
    }

    func fill(_ rgb: [UInt8]) throws {
        try PixelBuffers.write(rgb, to: image)
    }

    func run() async throws {
        do {
            made = try await model.model.prediction(from: features)
        } catch {
            throw CoreMLLoader.failure(model.spec, "cannot be run", error)
        }
    }

    func read() throws -> [UInt8] {
        guard let output = made?.featureValue(for: model.output)?.imageBufferValue else {
            throw QsrError.model("\(model.spec.file.path): gives no image; convert it with qsr-edge")
        }
        made = nil
        return try PixelBuffers.read(output, expected: size.times(model.spec.scale))
    }
}
