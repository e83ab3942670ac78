package io.qsredge.bench.core

import java.io.File
import java.io.FileOutputStream
import java.io.IOException

/** Told of every record after it is on disk; on the thread that wrote it. */
fun interface RecordListener {
    /** A record: its kind and all its keys. */
    fun onRecord(
        kind: String,
        values: Map<String, Any?>,
    )
}

/**
 * The results of a part: a line of JSON for each record, on disk before [append] returns. For any number of threads.
 *
 * @throws IOException if the file cannot be made, or is there and not empty: each start of an agent has a file of its own.
 */
class ResultsFile(
    private val file: File,
    private val device: AgentDevice,
    private val listener: RecordListener? = null,
) : AutoCloseable {
    private val beganNs = device.nanoTime()
    private val stream: FileOutputStream
    private var length = 0L

    init {
        val folder = file.absoluteFile.parentFile
        if (folder != null && !folder.isDirectory && !folder.mkdirs() && !folder.isDirectory) {
            throw IOException("$folder: the folder cannot be made")
        }
        if (file.length() > 0) throw IOException("$file: this part was begun before; begin another part")
        stream = FileOutputStream(file, true)
    }

    /**
     * Write a record.
     *
     * @throws IOException if it cannot be written, with what to do; what was there stays whole, and no part of a line is left.
     */
    @Synchronized
    fun append(
        kind: String,
        vararg values: Pair<String, Any?>,
    ) {
        val record =
            linkedMapOf<String, Any?>(
                "kind" to kind,
                "time_ms" to device.wallMs(),
                "elapsed_ms" to (device.nanoTime() - beganNs) / NS_PER_MS,
            )
        record.putAll(values)
        val line = (JsonText.write(record) + "\n").toByteArray()
        try {
            stream.write(line)
            stream.fd.sync()
        } catch (error: IOException) {
            stream.channel.runCatching { truncate(length) }
            throw IOException(
                "$file: cannot be written (${error.message}); free some space on the device, then go on with --resume",
                error,
            )
        }
        length += line.size
        listener?.onRecord(kind, record)
    }

    override fun close(): Unit = stream.close()

    private companion object {
        const val NS_PER_MS = 1_000_000L
    }
}
