// Stands in for what the sample uses of PhotosUI on Linux, for the compiler alone. See ../README.md.
import SwiftUI

public struct PhotosPickerItem: Equatable, Sendable {
    public func loadTransferable(type: Data.Type) async throws -> Data? { nil }
}

public struct PHPickerFilter: Sendable {
    public static let images = PHPickerFilter()
}

public struct PhotosPicker: StandInView {
    public init(_ title: some StringProtocol, selection: Binding<PhotosPickerItem?>, matching filter: PHPickerFilter?) {
    }
}
