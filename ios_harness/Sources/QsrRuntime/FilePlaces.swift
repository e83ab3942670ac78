import Foundation

/// What the system tells of files, where Foundation tells it differently on Linux.
enum FilePlaces {
    /// Size in bytes of a regular file, or of what a link to one leads to; nil if there is none. (Opening a named pipe
    /// would wait for ever.)
    static func regularFileBytes(_ file: URL) -> Int? {
        var info = stat()
        guard stat(file.path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(info.st_size)
    }

    static func isFolder(_ file: URL) -> Bool {
        var info = stat()
        return stat(file.path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }

    /// When a file was last written, in nanoseconds since 1970.
    static func modifiedNs(_ file: URL) -> Int? {
        var info = stat()
        guard stat(file.path, &info) == 0 else { return nil }
        #if canImport(Darwin)
            return info.st_mtimespec.tv_sec * 1_000_000_000 + info.st_mtimespec.tv_nsec
        #else
            return info.st_mtim.tv_sec * 1_000_000_000 + info.st_mtim.tv_nsec
        #endif
    }

    /// Whether a file lies in a folder, all links followed.
    static func isInside(_ file: URL, _ folder: URL) -> Bool {
        let root = folder.resolvingSymlinksInPath().path
        return file.resolvingSymlinksInPath().path.hasPrefix(root + "/")
    }

    static func makeFolder(_ folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Rename; a folder that holds something is not replaced.
    static func rename(_ from: URL, to: URL) -> Bool {
        Foundation.rename(from.path, to.path) == 0
    }

    static func remove(_ file: URL) {
        // What is not there need not be removed; what cannot be is in nobody's way: its name is its own.
        try? FileManager.default.removeItem(at: file)
    }

    static func contents(_ folder: URL) -> [URL] {
        (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    }
}
