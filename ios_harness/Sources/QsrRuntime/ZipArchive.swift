import CZlib
import Foundation

/// A .zip, read by its central directory (PKWARE's APPNOTE 4.3 and 4.4) after the checks that need no unpacking, as the
/// Kotlin reader does it. Members are inflated by zlib.
final class ZipArchive: BundleSource {
    /// The most that the files of a zipped bundle may unpack to, as in the Python reader.
    private static let mostContentBytes = 1 << 28
    private static let mostMembers = 2000
    private static let mostDirectoryBytes = 1 << 22
    private static let endBytes = 22
    private static let mostCommentBytes = 0xFFFF
    private static let centralBytes = 46
    private static let localBytes = 30
    /// Encrypted, patched, strongly encrypted, masked headers.
    private static let unusualFlags = 0x2061
    private static let stored = 0
    private static let deflated = 8

    private struct Member {
        let deflated: Bool
        let packedBytes: Int
        let headerAt: Int
        let name: [UInt8]
    }

    private let file: URL
    private let handle: FileHandle
    private var members: [String: Member] = [:]

    /// - Throws: ``QsrError/bundle(_:)`` if it is no .zip, or one that could harm; ``QsrError/storage(_:)`` if it cannot
    ///   be read.
    init(_ file: URL) throws {
        self.file = file
        guard FilePlaces.regularFileBytes(file) != nil else { throw QsrError.bundle("\(file.path): no such file") }
        do {
            handle = try FileHandle(forReadingFrom: file)
        } catch {
            throw QsrError.storage("\(file.path): cannot be read (\(oneLine(error))); check its permissions")
        }
        try readDirectory()
        nameBelowOneFolder()
    }

    deinit {
        try? handle.close()
    }

    func open(_ path: String) throws -> (any ByteReader)? {
        guard let member = members[path] else { return nil }
        let header = try bytes(member.headerAt, Self.localBytes)
        let name = try bytes(member.headerAt + Self.localBytes, header.number(26, 2))
        guard header.starts(with: [0x50, 0x4B, 3, 4]), name == member.name else {
            throw damaged("\(path): two names for one member")
        }
        let start = member.headerAt + Self.localBytes + name.count + header.number(28, 2)
        let slice = Slice(handle, file, start..<start + member.packedBytes)
        return member.deflated ? try Inflating(slice, file) : slice
    }

    private func damaged(_ what: String) -> QsrError {
        .bundle("\(file.path): \(what); \(BundleManifest.remedy)")
    }

    private func bytes(_ at: Int, _ count: Int) throws -> [UInt8] {
        let found = at < 0 ? [] : try Slice(handle, file, at..<at + count).read(upTo: count)
        guard found.count == count else { throw damaged("cut") }
        return found
    }

    private func readDirectory() throws {
        let length = FilePlaces.regularFileBytes(file) ?? 0
        let tail = min(length, Self.endBytes + Self.mostCommentBytes)
        let end = try bytes(length - tail, tail)
        let at = stride(from: tail - Self.endBytes, through: 0, by: -1).first { position in
            end[position...].starts(with: [0x50, 0x4B, 5, 6])
                && position + Self.endBytes + end.number(position + 20, 2) == tail
        }
        guard let at else { throw damaged("not a .zip") }
        let (count, size, start) = (end.number(at + 10, 2), end.number(at + 12, 4), end.number(at + 16, 4))
        // An archive of several disks, one with something before it, and ZIP64 are of no use here.
        guard end.number(at + 4, 4) == 0, start + size == length - tail + at else { throw damaged("an unusual .zip") }
        guard count <= Self.mostMembers else {
            throw damaged("\(count) members, expected at most \(Self.mostMembers)")
        }
        guard size <= Self.mostDirectoryBytes else {
            throw damaged("a directory of \(size) bytes, expected at most \(Self.mostDirectoryBytes)")
        }
        let directory = try bytes(start, size)
        var position = 0
        var total = 0
        var seen: Set<String> = []
        for _ in 0..<count { total += try readMember(directory, &position, &seen) }
        if total > Self.mostContentBytes {
            throw damaged("unpacks to \(total) bytes, expected at most \(Self.mostContentBytes)")
        }
    }

    /// Names members by their paths in the one folder that was zipped with its content, if they lie in one; what macOS
    /// adds is no part of it.
    private func nameBelowOneFolder() {
        let named = members.filter { !$0.key.hasPrefix("__MACOSX/") }
        let tops = Set(named.keys.map { $0.prefix { $0 != "/" } })
        guard members[BundleManifest.fileName] == nil, tops.count == 1, let folder = tops.first,
            named["\(folder)/\(BundleManifest.fileName)"] != nil
        else { return }
        members = [:]
        for (name, member) in named { members[String(name.dropFirst(folder.count + 1))] = member }
    }

    /// Its size, unpacked.
    private func readMember(_ directory: [UInt8], _ position: inout Int, _ seen: inout Set<String>) throws -> Int {
        let nameAt = position + Self.centralBytes
        guard nameAt <= directory.count, directory[position...].starts(with: [0x50, 0x4B, 1, 2]) else {
            throw damaged("its directory is damaged")
        }
        let nameEnd = nameAt + directory.number(position + 28, 2)
        guard nameEnd <= directory.count else { throw damaged("its directory is damaged") }
        let raw = Array(directory[nameAt..<nameEnd])
        // Paths of a manifest are ASCII: of other names only the danger is of interest.
        let name = String(String.UnicodeScalarView(raw.map { Unicode.Scalar($0) }))
        let parts = raw.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        if raw.isEmpty || raw[0] == UInt8(ascii: "/") || raw.contains(UInt8(ascii: "\\"))
            || parts.contains([UInt8(ascii: "."), UInt8(ascii: ".")])
            || raw.contains(where: { $0 < 0x20 || $0 == 0x7F })
        {
            throw damaged("a member would leave the bundle")
        }
        if !seen.insert(name.lowercased()).inserted { throw damaged("member '\(name)' is there twice") }
        let method = directory.number(position + 10, 2)
        if directory.number(position + 8, 2) & Self.unusualFlags != 0
            || (method != Self.stored && method != Self.deflated)
        {
            throw damaged("member '\(name)' is encrypted or compressed in an unusual way")
        }
        members[name] = Member(
            deflated: method == Self.deflated, packedBytes: directory.number(position + 20, 4),
            headerAt: directory.number(position + 42, 4), name: raw)
        defer { position = nameEnd + directory.number(position + 30, 2) + directory.number(position + 32, 2) }
        return directory.number(position + 24, 4)
    }
}

extension [UInt8] {
    /// Little-endian; 0 beyond the end, which callers have checked.
    fileprivate func number(_ at: Int, _ count: Int) -> Int {
        (0..<count).reversed().reduce(0) { $0 << 8 | (at + $1 < self.count ? Int(self[at + $1]) : 0) }
    }
}

/// Part of a file.
private final class Slice: ByteReader {
    private let handle: FileHandle
    private let file: URL
    private var left: Range<Int>

    init(_ handle: FileHandle, _ file: URL, _ range: Range<Int>) {
        self.handle = handle
        self.file = file
        left = range
    }

    func read(upTo count: Int) throws -> [UInt8] {
        let wanted = min(count, left.count)
        guard wanted > 0 else { return [] }
        do {
            try handle.seek(toOffset: UInt64(left.lowerBound))
            let found = [UInt8](try handle.read(upToCount: wanted) ?? Data())
            left = left.lowerBound + found.count..<left.upperBound
            return found
        } catch {
            throw QsrError.storage("\(file.path): cannot be read (\(oneLine(error)))")
        }
    }
}

/// What a deflated member holds, by zlib.
private final class Inflating: ByteReader {
    private static let chunkBytes = 1 << 16
    private let packed: Slice
    private let file: URL
    private var stream = z_stream()
    private var input: [UInt8] = []
    private var ended = false

    init(_ packed: Slice, _ file: URL) throws {
        self.packed = packed
        self.file = file
        // Minus the window's bits: no header of zlib's own.
        let size = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, size) == Z_OK else {
            throw QsrError.memory("\(file.path): no memory to unpack it; close other apps")
        }
    }

    deinit {
        inflateEnd(&stream)
    }

    func read(upTo count: Int) throws -> [UInt8] {
        var output = [UInt8](repeating: 0, count: count)
        var made = 0
        while made == 0, !ended, count > 0 {
            if input.isEmpty {
                input = try packed.read(upTo: Self.chunkBytes)
                if input.isEmpty { throw damaged }
            }
            var status = Z_OK
            var unread = 0
            output.withUnsafeMutableBufferPointer { into in
                input.withUnsafeMutableBufferPointer { from in
                    stream.next_in = from.baseAddress
                    stream.avail_in = UInt32(from.count)
                    stream.next_out = into.baseAddress
                    stream.avail_out = UInt32(into.count)
                    status = inflate(&stream, Z_NO_FLUSH)
                    unread = Int(stream.avail_in)
                    made = into.count - Int(stream.avail_out)
                }
            }
            input.removeFirst(input.count - unread)
            ended = status == Z_STREAM_END
            guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { throw damaged }
        }
        output.removeLast(count - made)
        return output
    }

    private var damaged: QsrError {
        .bundle("\(file.path): a member cannot be unpacked; \(BundleManifest.remedy)")
    }
}
