package io.qsredge.core

import java.io.EOFException
import java.io.IOException
import java.io.RandomAccessFile

/**
 * See that an ExecuTorch program is one that a library reads. ExecuTorch promises that a library reads the programs of the
 * release before it, not those of a later one; what it says itself when it cannot is the number of an error.
 *
 * The layout is that of `schema/program.fbs`: the position of the root table, the identifier, and the version as the first
 * field of that table.
 *
 * @param library version of the one that runs it, for the message.
 * @throws BackendException if the file is no program, is cut, or is of a newer schema.
 */
@InternalQsrApi
public fun ModelSpec.checkProgram(library: String) {
    val (found, version) =
        try {
            RandomAccessFile(file, "r").use { it.identifier() to it.schemaVersion() }
        } catch (error: EOFException) {
            throw BackendException("$file: is cut, or no ExecuTorch program; install the bundle anew", error)
        } catch (error: IOException) {
            throw BackendException("$file: cannot be read (${error.message}); install the bundle anew", error)
        }
    if (found != IDENTIFIER) {
        throw BackendException("$file: begins as '$found', a program for ExecuTorch $library as '$IDENTIFIER'; $REMEDY")
    }
    if (version > SCHEMA_VERSION) {
        throw BackendException(
            "$file: a program of schema version $version, ExecuTorch $library reads up to $SCHEMA_VERSION; $REMEDY",
        )
    }
}

// What the release reads that runtime-executorch names.
private const val IDENTIFIER = "ET12"
private const val SCHEMA_VERSION = 0L
private const val REMEDY = "convert with the ExecuTorch release that the app has"
private const val IDENTIFIER_AT = 4L
private const val FIRST_FIELD = 4
private const val BYTE = 8

private fun RandomAccessFile.identifier(): String {
    seek(IDENTIFIER_AT)
    // What is no identifier may be anything: it is shown in one line.
    return ByteArray(4).also(::readFully).joinToString("") {
        if (it in ' '.code..'~'.code) it.toInt().toChar().toString() else "?"
    }
}

private fun RandomAccessFile.schemaVersion(): Long {
    val table = unsigned(0, 4)
    val fields = table - unsigned(table, 4).toInt()
    val at = if (unsigned(fields, 2) > FIRST_FIELD) unsigned(fields + FIRST_FIELD, 2) else 0
    // A field that has its default is not written.
    return if (at == 0L) 0 else unsigned(table + at, 4)
}

private fun RandomAccessFile.unsigned(
    at: Long,
    bytes: Int,
): Long {
    if (at < 0) throw EOFException()
    seek(at)
    return (0 until bytes).sumOf { readUnsignedByte().toLong() shl BYTE * it }
}
