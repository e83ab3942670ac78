// Stands in for Core ML on Linux: the same names, and behind them the executor of saved packages that qsr-edge verifies
// its bundles with; see ../README.md. What a line `// objc` says is checked by tests/unit/ios.
@_exported import CoreVideo

// objc: enum MLComputeUnits
public enum MLComputeUnits: Int, Sendable {
    // objc: case CPUOnly = 0
    case cpuOnly = 0
    // objc: case CPUAndGPU = 1
    case cpuAndGPU = 1
    // objc: case All = 2
    case all = 2
    // objc: case CPUAndNeuralEngine = 3
    case cpuAndNeuralEngine = 3
}

// objc: class MLModelConfiguration
public final class MLModelConfiguration {
    // objc: property MLModelConfiguration.computeUnits
    public var computeUnits = MLComputeUnits.all
    // objc: property MLModelConfiguration.functionName since 18.0
    public var functionName: String?
    // objc: init MLModelConfiguration
    public init() {}
}

// objc: class MLFeatureDescription
public final class MLFeatureDescription {}

// objc: class MLModelDescription
public final class MLModelDescription {
    // objc: property MLModelDescription.inputDescriptionsByName readonly
    public let inputDescriptionsByName: [String: MLFeatureDescription]
    // objc: property MLModelDescription.outputDescriptionsByName readonly
    public let outputDescriptionsByName: [String: MLFeatureDescription]

    init(input: String, output: String) {
        inputDescriptionsByName = [input: MLFeatureDescription()]
        outputDescriptionsByName = [output: MLFeatureDescription()]
    }
}

// objc: class MLFeatureValue
public final class MLFeatureValue {
    // objc: property MLFeatureValue.imageBufferValue readonly
    public let imageBufferValue: CVPixelBuffer?
    // objc: init MLFeatureValue.featureValueWithPixelBuffer(value)
    public init(pixelBuffer value: CVPixelBuffer) { imageBufferValue = value }
}

// objc: protocol MLFeatureProvider
public protocol MLFeatureProvider {
    // objc: method MLFeatureProvider.featureValueForName(featureName)
    func featureValue(for featureName: String) -> MLFeatureValue?
}

// objc: class MLDictionaryFeatureProvider
public final class MLDictionaryFeatureProvider: MLFeatureProvider {
    private let values: [String: MLFeatureValue]
    // objc: init MLDictionaryFeatureProvider.initWithDictionaryError(dictionary, error)
    public init(dictionary: [String: Any]) throws {
        values = dictionary.compactMapValues { $0 as? MLFeatureValue }
        guard values.count == dictionary.count else { throw StandInError("a value that is no feature value") }
    }

    // objc: method MLDictionaryFeatureProvider.featureValueForName(featureName)
    public func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] }
}

// objc: class MLModel
public final class MLModel {
    // objc: property MLModel.modelDescription readonly
    public let modelDescription: MLModelDescription
    private let number: Int
    private let output: String
    private let input: String

    private init(number: Int, input: String, output: String) {
        modelDescription = MLModelDescription(input: input, output: output)
        (self.number, self.input, self.output) = (number, input, output)
    }

    deinit { ModelWorker.shared.release(number) }

    // objc: method MLModel.compileModelAtURLCompletionHandler(modelURL, handler) static async since 16.0
    public class func compileModel(at modelURL: URL) async throws -> URL {
        try await ModelWorker.shared.background { try $0.compile(modelURL) }
    }

    // objc: method MLModel.loadContentsOfURLConfigurationCompletionHandler(url, configuration, handler) static async since 14.0
    public class func load(
        contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
    ) async throws -> MLModel {
        let (function, units) = (configuration.functionName, configuration.computeUnits)
        let loaded = try await ModelWorker.shared.background { try $0.load(url, function, units) }
        return MLModel(number: loaded.number, input: loaded.input, output: loaded.output)
    }

    // objc: method MLModel.predictionFromFeaturesCompletionHandler(input, completionHandler) async since 17.0
    public func prediction(from input: any MLFeatureProvider) async throws -> any MLFeatureProvider {
        guard let image = input.featureValue(for: self.input)?.imageBufferValue else {
            throw StandInError("no image called '\(self.input)'")
        }
        guard image.format == kCVPixelFormatType_32BGRA else { throw StandInError("an image of another format") }
        let pixels = Pixels(image)
        let number = number
        let made = try await ModelWorker.shared.background { try $0.run(number, pixels) }
        guard let buffer = made.buffer else { throw StandInError("no output") }
        return try MLDictionaryFeatureProvider(dictionary: [output: MLFeatureValue(pixelBuffer: buffer)])
    }
}
