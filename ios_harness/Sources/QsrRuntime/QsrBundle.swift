import Foundation

/// Where the files of a bundle come from.
public protocol BundleSource {
    /// Open a file of the bundle by its path relative to the manifest, with forward slashes; nil if there is none.
    func open(_ path: String) throws -> (any ByteReader)?
}

/// Reads a file from its beginning on.
public protocol ByteReader: AnyObject {
    /// At most so many bytes; none at the end.
    func read(upTo count: Int) throws -> [UInt8]
}

/// A bundle on disk whose every file was checked.
public struct QsrBundle: Sendable {
    /// Folder that holds it; it must stay as it is while the bundle is in use.
    public let root: URL
    /// What it holds.
    public let manifest: BundleManifest

    init(root: URL, manifest: BundleManifest) {
        self.root = root
        self.manifest = manifest
    }

    /// Open a bundle where it lies.
    ///
    /// - Parameters:
    ///   - folder: with the manifest.
    ///   - marks: folder of the app's own where it is noted that the hashes were checked, so that they are checked once,
    ///     and again when a file was written since; sizes always are. Nil to check hashes every time.
    /// - Throws: ``QsrError/bundle(_:)`` if it is missing, incomplete, damaged, or of an unknown version;
    ///   ``QsrError/storage(_:)`` if a file cannot be read.
    public init(at folder: URL, marks: URL? = nil) throws {
        let content = try Self.manifestContent(FolderSource(folder), folder.path)
        let manifest = try BundleManifest(content, source: "\(folder.path)/\(BundleManifest.fileName)")
        let mark = marks?.appendingPathComponent(Self.mark(folder, content, manifest))
        let isMarked = mark.map { FilePlaces.regularFileBytes($0) != nil } ?? false
        try manifest.verifyFiles(folder, hashes: !isMarked)
        if let marks, let mark, !isMarked {
            // No mark is no harm: the hashes are checked again next time.
            try? FilePlaces.makeFolder(marks)
            try? Data().write(to: mark)
        }
        self.init(root: folder, manifest: manifest)
    }

    /// Open the bundle that an app brings among its resources, as a folder or as a `.zip`.
    ///
    /// A folder is used where it lies; a `.zip` is unpacked into the app's Application Support, once. Hashes are checked at
    /// the first use.
    ///
    /// - Parameters:
    ///   - name: of the folder, or of the archive, which then ends in `.zip`.
    ///   - resources: `Bundle.module` in a Swift package's app.
    /// - Throws: as ``init(at:marks:)`` and ``init(unzipping:into:)``.
    public init(resource name: String, of resources: Bundle = .main) throws {
        guard let place = resources.url(forResource: name, withExtension: nil) else {
            throw QsrError.bundle(
                "\(name): not among the app's resources; copy the folder that `qsr-edge convert` wrote into them")
        }
        if name.hasSuffix(".zip") {
            try self.init(unzipping: place, into: Self.storage)
        } else {
            try self.init(at: place, marks: Self.storage.appendingPathComponent("verified"))
        }
    }

    /// Folder of this app for bundles and what is made of them; not part of backups.
    package static var storage: URL {
        let support = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first
        return (support ?? FileManager.default.temporaryDirectory).appendingPathComponent("qsr-edge")
    }

    private static func mark(_ folder: URL, _ content: [UInt8], _ manifest: BundleManifest) -> String {
        // A bundle fetched anew to the same place is to be checked again, though its manifest is the same.
        let times = manifest.files.map { entry in
            "\(FilePlaces.modifiedNs(folder.appendingPathComponent(entry.path)) ?? 0)"
        }
        let place = ([folder.resolvingSymlinksInPath().path] + times).joined(separator: "\n")
        return Sha256.of(content + Array(place.utf8))
    }

    static func manifestContent(_ source: some BundleSource, _ place: String) throws -> [UInt8] {
        guard let reader = try source.open(BundleManifest.fileName) else {
            throw QsrError.bundle(
                "\(place): no \(BundleManifest.fileName), so not a bundle; \(BundleManifest.remedy)")
        }
        var content: [UInt8] = []
        while content.count <= BundleManifest.mostBytes {
            let chunk = try reader.read(upTo: 1 << 16)
            if chunk.isEmpty { break }
            content += chunk
        }
        return content
    }
}

/// A folder.
struct FolderSource: BundleSource {
    private let folder: URL

    init(_ folder: URL) {
        self.folder = folder
    }

    func open(_ path: String) throws -> (any ByteReader)? {
        let file = folder.appendingPathComponent(path)
        return FilePlaces.regularFileBytes(file) == nil ? nil : try FileReader(file)
    }
}

/// A file.
final class FileReader: ByteReader {
    private let file: URL
    private let handle: FileHandle

    init(_ file: URL) throws {
        self.file = file
        do {
            handle = try FileHandle(forReadingFrom: file)
        } catch {
            throw Self.denied(file, error)
        }
    }

    deinit {
        try? handle.close()
    }

    func read(upTo count: Int) throws -> [UInt8] {
        do {
            return [UInt8](try handle.read(upToCount: count) ?? Data())
        } catch {
            throw Self.denied(file, error)
        }
    }

    private static func denied(_ file: URL, _ error: any Error) -> QsrError {
        .storage("\(file.path): cannot be read (\(oneLine(error))); check its permissions")
    }
}

extension BundleManifest {
    /// Check every listed file: there, inside the folder, of its size and hash.
    ///
    /// - Parameter hashes: false to leave the hashes out, if they were checked before.
    /// - Throws: ``QsrError/bundle(_:)`` naming the first that is not; ``QsrError/storage(_:)`` if one cannot be read.
    func verifyFiles(_ folder: URL, hashes: Bool = true) throws {
        for entry in files {
            let file = folder.appendingPathComponent(entry.path)
            guard let bytes = FilePlaces.regularFileBytes(file) else {
                throw QsrError.bundle("\(file.path): missing; \(Self.remedy)")
            }
            guard FilePlaces.isInside(file, folder) else {
                throw QsrError.bundle("\(file.path): a link that leaves the bundle; \(Self.remedy)")
            }
            guard bytes == entry.bytes || entry.path == Self.modelCard else {
                throw QsrError.bundle("\(file.path): \(bytes) bytes, expected \(entry.bytes); \(Self.remedy)")
            }
            if hashes || bytes != entry.bytes { try copyVerified(FileReader(file), entry, file.path) { _ in } }
        }
    }
}

/// Copy a listed file and see that it has its size and hash; reads no more than a byte past the size. A model card may have
/// got Windows' line ends or a byte-order mark on its way: it is copied as it was written.
///
/// - Throws: ``QsrError/bundle(_:)`` if it is another.
func copyVerified(
    _ reader: any ByteReader, _ entry: FileEntry, _ source: String, into write: ([UInt8]) throws -> Void
) throws {
    let isCard = entry.path == BundleManifest.modelCard
    let content: any ByteReader = isCard ? try RestoredText(reader, writtenBytes: entry.bytes) : reader
    try copyWhole(content, entry, source, into: write)
}

/// A text as it was written, of what became of it.
private final class RestoredText: ByteReader {
    private var content: [UInt8] = []

    init(_ reader: any ByteReader, writtenBytes: Int) throws {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        while content.count <= 2 * writtenBytes + mark.count {
            let chunk = try reader.read(upTo: 1 << 16)
            if chunk.isEmpty { break }
            content += chunk
        }
        if content.count <= writtenBytes { return }
        if content.starts(with: mark) { content.removeFirst(mark.count) }
        let (newline, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
        content = content.indices.compactMap { i in
            let isDropped = content[i] == carriageReturn && i + 1 < content.count && content[i + 1] == newline
            return isDropped ? nil : content[i]
        }
    }

    func read(upTo count: Int) -> [UInt8] {
        defer { content.removeFirst(min(count, content.count)) }
        return Array(content.prefix(count))
    }
}

private func copyWhole(
    _ reader: any ByteReader, _ entry: FileEntry, _ source: String, into write: ([UInt8]) throws -> Void
) throws {
    var digest = Sha256()
    var size = 0
    while size <= entry.bytes {
        let chunk = try reader.read(upTo: min(1 << 16, entry.bytes + 1 - size))
        if chunk.isEmpty { break }
        digest.update(chunk)
        try write(chunk)
        size += chunk.count
    }
    if size != entry.bytes {
        let got = size > entry.bytes ? "more" : "\(size)"
        throw QsrError.bundle(
            "\(source): \(got) bytes, expected \(entry.bytes): cut or replaced; \(BundleManifest.remedy)")
    }
    let hash = digest.finish()
    if hash != entry.sha256 {
        throw QsrError.bundle(
            "\(source): sha256 is \(hash), expected \(entry.sha256): damaged; \(BundleManifest.remedy)")
    }
}
