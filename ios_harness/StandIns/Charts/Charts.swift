// Stands in for what the benchmark app uses of Swift Charts on Linux, for the compiler alone. See ../README.md.
import SwiftUI

public struct PlottableValue<Value> {
    public static func value(_ label: some StringProtocol, _ value: Value) -> PlottableValue<Value> { .init() }
}

@MainActor
public struct LineMark {
    public init<X, Y>(x: PlottableValue<X>, y: PlottableValue<Y>) {}
}

public struct Chart<Content>: StandInView {
    public init<Data: RandomAccessCollection, ID: Hashable>(
        _ data: Data, id: KeyPath<Data.Element, ID>, content: @escaping (Data.Element) -> Content
    ) {}
}
