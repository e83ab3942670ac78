/// Latency of a depth.
public struct LatencyEntry: Equatable, Sendable {
    public let depth: Int
    /// Microseconds for 1,000,000 pixels of the input.
    public let usPerMegapixel: Int

    public init(depth: Int, usPerMegapixel: Int) {
        self.depth = depth
        self.usPerMegapixel = usPerMegapixel
    }
}

/// Latency of every depth.
public struct LatencyTable: Equatable, Sendable {
    private static let mostUsPerMegapixel = 1_000_000_000
    /// Where it comes from, for people.
    public let source: String
    /// By depth, ascending; a deeper one is no faster.
    public let entries: [LatencyEntry]

    /// - Throws: ``QsrError/policy(_:)`` if depths or latencies do not ascend, or are out of their range.
    public init(source: String, entries: [LatencyEntry]) throws {
        self.source = source
        self.entries = entries
        let values = entries.map(\.usPerMegapixel)
        guard let first = values.first, let last = values.last, isAscending(depths, strictly: true) else {
            throw QsrError.policy("latency table: depths are \(depths), expected ascending and each once")
        }
        if !isAscending(values, strictly: false) || first < 1 || last > Self.mostUsPerMegapixel {
            throw QsrError.policy(
                "latency table: \(values) us per megapixel, expected ascending, 1 to \(Self.mostUsPerMegapixel)")
        }
    }

    /// Every depth, ascending.
    public var depths: [Int] { entries.map(\.depth) }

    /// Microseconds that the table has for a frame of so many input pixels, rounded up.
    func us(depth: Int, pixels: Int) throws -> Int {
        guard let entry = entries.first(where: { $0.depth == depth }) else {
            throw QsrError.policy("the latency table has no depth \(depth), only \(depths)")
        }
        return ceilDiv(entry.usPerMegapixel * pixels, 1_000_000)
    }

    /// Microseconds that a depth will take.
    ///
    /// - Parameters:
    ///   - pixels: of the input of a frame, 1 to 2^27.
    ///   - ratioMilli: what it takes in thousandths of what the table says.
    public func predictedUs(depth: Int, pixels: Int, ratioMilli: Int) throws -> Int {
        ceilDiv(try us(depth: depth, pixels: pixels) * ratioMilli, 1000)
    }
}

/// The last observed ratios of what frames take to what the table says.
public struct LatencyTracker: Equatable, Sendable {
    private static let window = 5
    /// Of the last observation; nil before the first.
    public private(set) var depth: Int?
    /// Observed latency over the table's in thousandths, the oldest first.
    public private(set) var ratiosMilli: [Int] = []

    public init() {}

    /// The median of what is kept, the lower of the middle two; nil if nothing is.
    public var ratioMilli: Int? {
        ratiosMilli.isEmpty ? nil : ratiosMilli.sorted()[(ratiosMilli.count - 1) / 2]
    }

    /// See one more frame. The first one at a depth is not counted: a runtime plans its memory then.
    ///
    /// - Parameters:
    ///   - depth: that ran.
    ///   - pixels: of the input, 1 to 2^27.
    ///   - latencyUs: that it took, 0 to 2^40.
    public mutating func observe(_ table: LatencyTable, depth: Int, pixels: Int, latencyUs: Int) throws {
        guard depth == self.depth else {
            self.depth = depth
            return
        }
        let ratio = ceilDiv(latencyUs * 1000, max(1, try table.us(depth: depth, pixels: pixels)))
        ratiosMilli = (ratiosMilli + [clamped(ratio, ratioRange)]).suffix(Self.window)
    }
}

let ratioRange = 10...100_000

func clamped(_ value: Int, _ range: ClosedRange<Int>) -> Int {
    min(max(value, range.lowerBound), range.upperBound)
}

/// Rounded up; dividend at least 0, divisor above 0.
func ceilDiv(_ dividend: Int, _ divisor: Int) -> Int {
    (dividend + divisor - 1) / divisor
}

func isAscending(_ values: [Int], strictly: Bool) -> Bool {
    zip(values, values.dropFirst()).allSatisfy { strictly ? $0 < $1 : $0 <= $1 }
}
