import Foundation

/// Everything that this package throws on purpose, but for `CancellationError`.
///
/// The text of each is one line: what was found, what was expected, what to do. It is also the error's
/// `localizedDescription`.
public enum QsrError: Error, Equatable, Sendable {
    /// A bundle's manifest, or a file that it lists, is missing, damaged, contradictory, of an unknown version, or for
    /// another runtime.
    case bundle(String)
    /// A policy, latency table, sample or saved state holds what it cannot.
    case policy(String)
    /// An image cannot be covered by tiles of the wanted size.
    case tiles(String)
    /// Core ML cannot compile, load or run a model.
    case model(String)
    /// Pixels do not fit what is done with them: an empty image, a format that is not known.
    case pixels(String)
    /// A file or folder cannot be read or written: denied, or no space is left.
    case storage(String)
    /// The device has too little memory left for what was asked.
    case memory(String)
    /// The upscaler was closed, before or meanwhile.
    case closed(String)
}

extension QsrError: LocalizedError, CustomStringConvertible {
    /// The line of text.
    public var description: String {
        switch self {
        case .bundle(let text), .policy(let text), .tiles(let text), .model(let text), .pixels(let text),
            .storage(let text), .memory(let text), .closed(let text):
            return text
        }
    }

    /// The line of text.
    public var errorDescription: String? { description }
}

/// What the system says of an error, on one line. Of a full storage always the same, which qsr-edge looks for.
package func oneLine(_ error: any Error) -> String {
    if isFullStorage(error) { return "No space left on device" }
    return oneLine((error as? QsrError)?.description ?? error.localizedDescription)
}

/// Whether an error is that of a write that found no room.
private func isFullStorage(_ error: any Error) -> Bool {
    if error is QsrError { return false }
    let told = error as NSError
    switch told.domain {
    case NSCocoaErrorDomain where told.code == CocoaError.fileWriteOutOfSpace.rawValue: return true
    case NSPOSIXErrorDomain where [ENOSPC, EDQUOT].map(Int.init).contains(told.code): return true
    default: return (told.userInfo[NSUnderlyingErrorKey] as? any Error).map(isFullStorage) ?? false
    }
}

/// A text on one line.
package func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
}
