// Stands in for what the apps use of SwiftUI on Linux, for the compiler alone: nothing is drawn. See ../README.md.
@_exported import CoreGraphics
@_exported import UIKit

@MainActor
public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public var body: Never { return fatalError("a view without a body") }
}

/// A view of SwiftUI's own.
public protocol StandInView: View where Body == Never {}

extension StandInView {
    public var body: Never { return fatalError("a view without a body") }
}

@resultBuilder
public enum ViewBuilder {
    public static func buildBlock<each Content: View>(_ content: repeat each Content) -> TupleView<
        (repeat each Content)
    > {
        TupleView()
    }
    public static func buildIf<Content: View>(_ content: Content?) -> Content? { content }
}

public struct TupleView<Content>: StandInView {}

extension Optional: View where Wrapped: View {
    public var body: Never { return fatalError("a view without a body") }
}

public struct Text: StandInView {
    public init(_ content: some StringProtocol) {}
}

public struct Image: StandInView {
    public init(uiImage: UIImage) {}
    public init(decorative cgImage: CGImage, scale: CGFloat) {}
    public func resizable() -> Image { self }
}

public struct VStack<Content: View>: StandInView {
    public init(@ViewBuilder content: () -> Content) {}
}

public struct HStack<Content: View>: StandInView {
    public init(@ViewBuilder content: () -> Content) {}
}

public struct TimelineView<Schedule, Content: View>: StandInView {
    public init(_ schedule: Schedule, @ViewBuilder content: @escaping (TimelineViewDefaultContext) -> Content)
    where Schedule == PeriodicTimelineSchedule {}
}

public struct TimelineViewDefaultContext {}

public struct PeriodicTimelineSchedule {
    public static func periodic(from startDate: Date, by interval: TimeInterval) -> PeriodicTimelineSchedule { .init() }
}

extension View {
    public func scaledToFit() -> some View { self }
    public func task(_ action: @escaping @Sendable @MainActor () async -> Void) -> some View { self }
    public func task<Value: Equatable>(id value: Value, _ action: @escaping @Sendable @MainActor () async -> Void)
        -> some View
    {
        self
    }
    public func onReceive(_ publisher: NotificationCenter.Publisher, perform action: @escaping (Notification) -> Void)
        -> some View
    { self }
}

@propertyWrapper
public struct State<Value> {
    private final class Storage {
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    private let storage: Storage
    public init(wrappedValue: Value) { storage = Storage(wrappedValue) }
    public var wrappedValue: Value {
        get { storage.value }
        nonmutating set { storage.value = newValue }
    }
    public var projectedValue: Binding<Value> { Binding() }
}

extension State where Value: ExpressibleByNilLiteral {
    public init() { self.init(wrappedValue: nil) }
}

public struct Binding<Value> {}

@propertyWrapper
public struct Environment<Value> {
    private let path: KeyPath<EnvironmentValues, Value>
    public init(_ keyPath: KeyPath<EnvironmentValues, Value>) { path = keyPath }
    public var wrappedValue: Value { EnvironmentValues()[keyPath: path] }
}

public struct EnvironmentValues {
    public var scenePhase: ScenePhase { .active }
}

public enum ScenePhase: Sendable {
    case background
    case inactive
    case active
}

@MainActor
public protocol App {
    associatedtype Body: Scene
    init()
    var body: Body { get }
}

extension App {
    public static func main() { fatalError("an app needs a phone") }
}

@MainActor
public protocol Scene {}

public struct WindowGroup<Content: View>: Scene {
    public init(@ViewBuilder content: () -> Content) {}
}

extension Scene {
    public func onChange<Value: Equatable>(of value: Value, _ action: @escaping (Value, Value) -> Void) -> some Scene {
        self
    }
}

extension NotificationCenter {
    public struct Publisher {}
    public func publisher(for name: Notification.Name) -> Publisher { Publisher() }
}
