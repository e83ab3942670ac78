package io.qsredge.jvm

import io.qsredge.core.Backend
import io.qsredge.core.BackendException
import io.qsredge.core.Json
import io.qsredge.core.LoadedModel
import io.qsredge.core.ModelSpec
import io.qsredge.core.Size
import java.io.BufferedInputStream
import java.io.DataInputStream
import java.io.EOFException
import java.io.IOException
import java.nio.ByteBuffer

/**
 * The true runtime on a desktop, which has no Java interface there: a Python process (`runtime_worker.py`) that loads models
 * with qsr-edge's back end and runs them. Requests and answers are lines of JSON; pixels follow as raw bytes. One process
 * serves all models of a target, one request at a time.
 *
 * @param onEnd called when the process ended by itself, before a [BackendException] tells it.
 */
class ProcessBackend(
    override val target: String,
    python: String,
    script: String,
    private val onEnd: () -> Unit = {},
) : Backend,
    AutoCloseable {
    private val process =
        ProcessBuilder(python, script, target).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val requests = process.outputStream
    private val answers = DataInputStream(BufferedInputStream(process.inputStream))
    private val hello = receive()
    override val runtime: String = (hello["runtime"] as Json.Text).value
    override val kernels: List<String> = (hello["kernels"] as Json.Array).values.map { (it as Json.Text).value }
    override val largestSidePx: Int? = null

    /** Its number among the system's processes. */
    val pid: String = (hello["pid"] as Json.Number).value.toPlainString()

    override fun load(spec: ModelSpec): LoadedModel {
        val request =
            """{"do":"load","file":${quoted(spec.file.path)},"depth":${spec.depth},"threads":${spec.threads},""" +
                """"kernels":${spec.kernels?.let(::quoted) ?: "null"}}"""
        val number = (ask(request)["model"] as Json.Number).value.intValueExact()
        return object : LoadedModel {
            private val bytes = spec.scale * spec.scale

            override fun run(
                size: Size,
                input: ByteBuffer,
                output: ByteBuffer,
            ) {
                val pixels = ByteArray(input.capacity()).also { input.duplicate().apply { clear() }.get(it) }
                val made = infer(number, size, pixels, pixels.size * bytes)
                output.clear()
                output.put(made)
            }

            override fun close() {
                ask("""{"do":"close","model":$number}""")
            }
        }
    }

    /** A path may hold whatever a file name may. */
    private fun quoted(text: String): String =
        text.map { if (it < ' ' || it in "\"\\") "\\u%04x".format(it.code) else "$it" }.joinToString("", "\"", "\"")

    private fun ask(request: String): Json.Object = exchange(request) { it }

    private fun infer(
        number: Int,
        size: Size,
        pixels: ByteArray,
        bytes: Int,
    ): ByteArray {
        val request = """{"do":"run","model":$number,"height_px":${size.heightPx},"width_px":${size.widthPx}}"""
        return exchange(request, pixels) { ByteArray(bytes).also(answers::readFully) }
    }

    @Synchronized
    private fun <T> exchange(
        request: String,
        pixels: ByteArray = ByteArray(0),
        read: (Json.Object) -> T,
    ): T =
        try {
            requests.write((request + "\n").toByteArray())
            requests.write(pixels)
            requests.flush()
            read(receive())
        } catch (error: IOException) {
            onEnd()
            throw BackendException("$target: the process that runs it ended (${error.message})", error)
        }

    private fun receive(): Json.Object {
        val line = StringBuilder()
        while (true) {
            val byte = answers.read()
            if (byte < 0) throw EOFException("no answer")
            if (byte == '\n'.code) break
            line.append(byte.toChar())
        }
        val answer = Json.parse(line.toString()) as Json.Object
        (answer["error"] as? Json.Text)?.let { throw BackendException(it.value) }
        return answer
    }

    override fun close() {
        requests.close()
        process.waitFor()
    }
}
