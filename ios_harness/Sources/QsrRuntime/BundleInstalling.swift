import Foundation

/// Installing bundles into a folder of the app.
extension QsrBundle {
    private static let mark = ".verified"
    private static let temporarySuffix = ".tmp"
    private static let abandonedNs = 600_000_000_000
    private static let installing = NSLock()

    /// Copy a bundle into a folder of the app and open it; if that very bundle is there already, nothing but its manifest
    /// and the sizes of its files is looked at. Hashes are checked while copying. Several processes, such as an app and its
    /// extensions, may install into one folder at once: each copies for itself, and the first one's bundle is everybody's.
    ///
    /// - Parameters:
    ///   - source: of the bundle's files.
    ///   - storage: folder for installed bundles.
    /// - Throws: ``QsrError/bundle(_:)`` if the bundle is incomplete, damaged, or of an unknown version;
    ///   ``QsrError/storage(_:)`` if it cannot be read or written.
    public init(installing source: some BundleSource, into storage: URL) throws {
        let content = try Self.manifestContent(source, "the bundle")
        let manifest = try BundleManifest(content)
        let target = storage.appendingPathComponent(Sha256.of(content), isDirectory: true)
        try Self.installing.withLock {
            if !Self.isInstalled(manifest, target) {
                try Self.copy(source, content, manifest, target)
            }
        }
        self.init(root: target, manifest: manifest)
    }

    /// Install from a folder; arguments and errors as ``init(installing:into:)``.
    public init(copying folder: URL, into storage: URL) throws {
        try self.init(installing: FolderSource(folder), into: storage)
    }

    /// Install from a `.zip` file; arguments and errors as ``init(installing:into:)``.
    public init(unzipping archive: URL, into storage: URL) throws {
        try self.init(installing: ZipArchive(archive), into: storage)
    }

    /// Delete every installed bundle but these, such as those of the app's earlier releases. What is being installed
    /// meanwhile stays.
    public static func removeOthers(in storage: URL, keeping bundles: [QsrBundle]) {
        let kept = Set(bundles.map { $0.root.resolvingSymlinksInPath().path })
        for file in FilePlaces.contents(storage) where !kept.contains(file.resolvingSymlinksInPath().path) {
            if !isTemporary(file) || isAbandoned(file) { FilePlaces.remove(file) }
        }
    }

    private static func isInstalled(_ manifest: BundleManifest, _ target: URL) -> Bool {
        guard FilePlaces.regularFileBytes(target.appendingPathComponent(mark)) != nil else { return false }
        return (try? manifest.verifyFiles(target, hashes: false)) != nil
    }

    private static func copy(
        _ source: some BundleSource, _ content: [UInt8], _ manifest: BundleManifest, _ target: URL
    ) throws {
        let storage = target.deletingLastPathComponent()
        let work = temporary(storage)
        defer { FilePlaces.remove(work) }
        do {
            try FilePlaces.makeFolder(storage)
            for file in FilePlaces.contents(storage) where isAbandoned(file) { FilePlaces.remove(file) }
            for entry in manifest.files {
                guard let reader = try source.open(entry.path) else {
                    throw QsrError.bundle("\(entry.path): missing, but listed; \(BundleManifest.remedy)")
                }
                try write(work.appendingPathComponent(entry.path)) { file in
                    try copyVerified(reader, entry, entry.path) { try file.write(contentsOf: $0) }
                }
            }
            try write(work.appendingPathComponent(BundleManifest.fileName)) { try $0.write(contentsOf: content) }
            try write(work.appendingPathComponent(mark)) { _ in }
        } catch let error as QsrError {
            throw error
        } catch {
            throw QsrError.storage("\(target.path): cannot be installed (\(oneLine(error))); free some space")
        }
        try place(work, manifest, target)
    }

    /// Renames a finished folder to its name. What another process installed meanwhile stays: it may be in use there, and
    /// is the same bundle. Only what is not whole makes room.
    private static func place(_ work: URL, _ manifest: BundleManifest, _ target: URL) throws {
        // A rename replaces no folder that holds anything.
        if FilePlaces.rename(work, to: target) || isInstalled(manifest, target) { return }
        let damaged = temporary(target.deletingLastPathComponent())
        defer { FilePlaces.remove(damaged) }
        _ = FilePlaces.rename(target, to: damaged)
        if FilePlaces.rename(work, to: target) || isInstalled(manifest, target) { return }
        throw QsrError.storage("\(target.path): cannot be renamed to; check its permissions")
    }

    private static func temporary(_ storage: URL) -> URL {
        storage.appendingPathComponent(".\(UUID().uuidString)\(temporarySuffix)")
    }

    private static func isTemporary(_ file: URL) -> Bool {
        file.lastPathComponent.hasPrefix(".") && file.lastPathComponent.hasSuffix(temporarySuffix)
    }

    /// Left by a process that was killed while it installed.
    private static func isAbandoned(_ file: URL) -> Bool {
        guard isTemporary(file), let modified = FilePlaces.modifiedNs(file) else { return false }
        return Int(Date().timeIntervalSince1970 * 1e9) - modified > abandonedNs
    }

    private static func write(_ file: URL, _ content: (FileHandle) throws -> Void) throws {
        try FilePlaces.makeFolder(file.deletingLastPathComponent())
        // Data(), as FileManager's createFile does not say why it failed.
        try Data().write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        try content(handle)
        try handle.synchronize()
    }
}
