package io.qsredge.core

import java.io.Closeable
import java.io.EOFException
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.io.RandomAccessFile
import java.util.zip.Inflater
import java.util.zip.InflaterInputStream

/**
 * A .zip, read by its central directory (PKWARE's APPNOTE 4.3 and 4.4) after the checks that need no unpacking. Android's
 * own reader differs from release to release in what it accepts, and tells nothing of encryption.
 *
 * @throws BundleException if it is no .zip, or one that could harm.
 * @throws IOException if it cannot be read.
 */
internal class ZipArchive(
    private val file: File,
) : BundleSource,
    Closeable {
    private class Member(
        val deflated: Boolean,
        val packedBytes: Long,
        val bytes: Long,
        val headerAt: Long,
        val name: ByteArray,
    )

    private val access = RandomAccessFile(file, "r")
    private val members = HashMap<String, Member>()

    init {
        try {
            readDirectory()
        } catch (error: Exception) {
            access.close()
            throw if (error is EOFException) BundleException("$file: cut; ${Manifest.REMEDY}", error) else error
        }
    }

    override fun open(path: String): InputStream {
        val member = members[path] ?: throw FileNotFoundException("no $path in the archive")
        val header = bytes(member.headerAt, LOCAL_BYTES)
        val name = bytes(member.headerAt + LOCAL_BYTES, number(header, 26, 2).toInt())
        if (number(header, 0, 4) != LOCAL || !name.contentEquals(member.name)) {
            throw BundleException("$file: $path: two names for one member; ${Manifest.REMEDY}")
        }
        val start = member.headerAt + LOCAL_BYTES + name.size + number(header, 28, 2)
        val packed = Slice(start, member.packedBytes)
        if (!member.deflated) return packed
        return object : InflaterInputStream(packed, Inflater(true), CHUNK_BYTES) {
            override fun close() {
                inf.end()
                super.close()
            }
        }
    }

    override fun close() = access.close()

    private fun refuse(what: String): Nothing = throw BundleException("$file: $what; ${Manifest.REMEDY}")

    private fun bytes(
        at: Long,
        count: Int,
    ): ByteArray {
        if (at < 0) throw EOFException()
        access.seek(at)
        return ByteArray(count).also(access::readFully)
    }

    private fun number(
        content: ByteArray,
        at: Int,
        count: Int,
    ): Long {
        var value = 0L
        for (i in count - 1 downTo 0) value = (value shl 8) or (content[at + i].toLong() and 0xFF)
        return value
    }

    private fun readDirectory() {
        val tail = minOf(access.length(), END_BYTES + MAX_COMMENT_BYTES).toInt()
        val end = bytes(access.length() - tail, tail)
        val at =
            (tail - END_BYTES.toInt() downTo 0).firstOrNull {
                number(end, it, 4) == END && it + END_BYTES + number(end, it + 20, 2) == tail.toLong()
            } ?: refuse("not a .zip")
        val count = number(end, at + 10, 2).toInt()
        val size = number(end, at + 12, 4)
        val start = number(end, at + 16, 4)
        // An archive of several disks, one with something before it, and ZIP64 are of no use here.
        if (number(end, at + 4, 4) != 0L || start + size != access.length() - tail + at) refuse("an unusual .zip")
        if (count > MEMBER_LIMIT) refuse("$count members, expected at most $MEMBER_LIMIT")
        if (size > DIRECTORY_LIMIT_BYTES) refuse("a directory of $size bytes, expected at most $DIRECTORY_LIMIT_BYTES")
        val directory = bytes(start, size.toInt())
        var position = 0
        val seen = HashSet<String>()
        var total = 0L
        repeat(count) {
            if (position + CENTRAL_BYTES > directory.size || number(directory, position, 4) != CENTRAL) {
                refuse("its directory is damaged")
            }
            val length = number(directory, position + 28, 2).toInt()
            val nameAt = position + CENTRAL_BYTES
            if (nameAt + length > directory.size) refuse("its directory is damaged")
            val raw = directory.copyOfRange(nameAt, nameAt + length)
            val flags = number(directory, position + 8, 2)
            // Paths of a manifest are ASCII: of other names only the danger is of interest.
            val name = String(raw, if (flags and UTF_8 != 0L) Charsets.UTF_8 else Charsets.ISO_8859_1)
            if (name.isEmpty() || name.startsWith("/") || '\\' in name || ".." in name.split('/') ||
                name.any { it.isISOControl() }
            ) {
                refuse("a member would leave the bundle")
            }
            if (!seen.add(name.lowercase())) refuse("member '$name' is there twice")
            val method = number(directory, position + 10, 2)
            if (flags and UNUSUAL_FLAGS != 0L || (method != STORED && method != DEFLATED)) {
                refuse("member '$name' is encrypted or compressed in an unusual way")
            }
            val member =
                Member(
                    deflated = method == DEFLATED,
                    packedBytes = number(directory, position + 20, 4),
                    bytes = number(directory, position + 24, 4),
                    headerAt = number(directory, position + 42, 4),
                    name = raw,
                )
            total += member.bytes
            members[name] = member
            position = nameAt + length + number(directory, position + 30, 2).toInt() +
                number(directory, position + 32, 2).toInt()
        }
        if (total > CONTENT_LIMIT_BYTES) refuse("unpacks to $total bytes, expected at most $CONTENT_LIMIT_BYTES")
        nameBelowOneFolder()
    }

    /** A folder that was zipped with its content: its members are named as if the content alone had been. */
    private fun nameBelowOneFolder() {
        // What macOS adds is no part of what was zipped.
        val named = members.filterKeys { !it.startsWith("__MACOSX/") }
        val tops = named.keys.map { it.substringBefore('/') }.toSet()
        val folder = "${tops.singleOrNull() ?: return}/"
        if (Manifest.FILE_NAME in members || "$folder${Manifest.FILE_NAME}" !in named) return
        members.clear()
        named.forEach { (name, member) -> members[name.removePrefix(folder)] = member }
    }

    private inner class Slice(
        private var at: Long,
        private var left: Long,
    ) : InputStream() {
        override fun read(): Int {
            val one = ByteArray(1)
            return if (read(one, 0, 1) < 0) -1 else one[0].toInt() and 0xFF
        }

        override fun read(
            into: ByteArray,
            offset: Int,
            length: Int,
        ): Int {
            if (length == 0) return 0
            if (left <= 0) return -1
            access.seek(at)
            val count = access.read(into, offset, minOf(length.toLong(), left).toInt())
            if (count > 0) {
                at += count
                left -= count
            }
            return count
        }
    }

    companion object {
        /** The most that the files of a zipped bundle may unpack to, as in the Python reader. */
        const val CONTENT_LIMIT_BYTES = 1L shl 28
        private const val MEMBER_LIMIT = 2000
        private const val DIRECTORY_LIMIT_BYTES = 1L shl 22
        private const val END = 0x06054b50L
        private const val END_BYTES = 22L
        private const val MAX_COMMENT_BYTES = 0xFFFFL
        private const val CENTRAL = 0x02014b50L
        private const val CENTRAL_BYTES = 46
        private const val LOCAL = 0x04034b50L
        private const val LOCAL_BYTES = 30

        // Encrypted, patched, strongly encrypted, masked headers.
        private const val UNUSUAL_FLAGS = 0x2061L
        private const val UTF_8 = 0x800L
        private const val STORED = 0L
        private const val DEFLATED = 8L
        private const val CHUNK_BYTES = 1 shl 16
    }
}
