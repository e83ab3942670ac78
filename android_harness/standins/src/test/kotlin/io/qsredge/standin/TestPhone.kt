package io.qsredge.standin

import io.qsredge.core.ModelSpec
import io.qsredge.core.PATIENCE_S
import io.qsredge.core.Size
import io.qsredge.core.TestNetwork
import io.qsredge.core.inTemporaryFolder
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.TimeUnit

/** [TestNetwork] behind the stand-ins of the runtimes. A file holds a number; its name, or a signature, tells the depth. */
internal class TestEngine : Engine {
    /** Threads and kernels of all that were opened. */
    val opened: MutableList<Pair<Int, String?>> = CopyOnWriteArrayList()
    val closed: MutableList<String> = CopyOnWriteArrayList()

    /** Called before each run, on its thread: a test may hold it back. */
    @Volatile
    var beforeRun: () -> Unit = {}
    var delegates = arrayOf("XnnpackBackend")

    override fun version() = "9.9"

    override fun open(
        file: File,
        threads: Int,
        kernels: String?,
    ): Engine.Model {
        val network = weightsOf(file)
        opened += threads to kernels
        return object : Engine.Model {
            override fun run(
                signature: String?,
                heightPx: Int,
                widthPx: Int,
                rgb: ByteArray,
            ): ByteArray {
                beforeRun()
                val depth = (signature ?: file.nameWithoutExtension).filter(Char::isDigit).toInt()
                val input = ByteBuffer.allocateDirect(rgb.size).apply { put(rgb) }
                val output = ByteBuffer.allocateDirect(4 * rgb.size)
                TestNetwork(network, depth).run(Size(heightPx, widthPx), input, output)
                return ByteArray(4 * rgb.size).also { output.get(it) }
            }

            override fun delegates() = delegates

            override fun close() {
                closed += file.name
            }
        }
    }
}

/** A program of ExecuTorch as far as its header goes, before the number of a [TestNetwork]. */
internal fun program(
    identifier: String = "ET12",
    schemaVersion: Int? = 0,
): ByteArray {
    val header = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN)
    header.putInt(16).put(identifier.toByteArray())
    // The table of fields: its own size, that of the root table, where the version is; the default is not written.
    header.putShort(8, 6).putShort(10, 8).putShort(12, if (schemaVersion == null) 0 else 4)
    header.putInt(16, 8).putInt(20, schemaVersion ?: 77)
    return header.array() + "5\n".toByteArray()
}

/** The file, or of a [program] what follows its header as a file of its own. */
private fun weightsOf(file: File): File {
    require(file.isFile) { "$file does not exist" }
    val content = file.readBytes()
    val isProgram = content.size > 24 && String(content, 4, 2) == "ET"
    val text = String(if (isProgram) content.copyOfRange(24, content.size) else content)
    require(text.trim().toLongOrNull() != null) { "$file does not encode a valid model" }
    return if (isProgram) File("$file.seed").apply { writeText(text) } else file
}

internal fun manifestOf(
    module: String,
    namespace: String,
) = AppManifest(File("$harness/$module/src/main/AndroidManifest.xml"), namespace)

private val harness get() = System.getProperty("qsr.harness", ".")

internal val benchManifest get() = manifestOf("bench-app", "io.qsredge.bench")
internal val sampleManifest get() = manifestOf("sample", "io.qsredge.sample")

/** A phone whose runtimes are [TestEngine]s, and a folder; both gone afterwards. */
internal fun withPhone(
    sdk: Int = 36,
    manifest: AppManifest = benchManifest,
    test: (phone: Phone, engine: TestEngine, folder: File) -> Unit,
) = inTemporaryFolder { folder ->
    val engine = TestEngine()
    Engine.USED[0] = engine
    Phone(sdk, folder.resolve("phone"), manifest).use { test(it, engine, folder) }
}

internal fun waitFor(
    what: String,
    condition: () -> Boolean,
) {
    val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S)
    while (!condition()) {
        check(System.nanoTime() < end) { "waited in vain for $what" }
        Thread.sleep(1)
    }
}

internal fun spec(
    file: File,
    depth: Int = 1,
    signature: String? = null,
    inputSize: Size? = null,
    kernels: String? = null,
) = ModelSpec(file, depth, signature, 2, inputSize, 3, kernels)

/** The files of a folder as an app's assets. */
internal fun Phone.ship(
    folder: File,
    asset: String,
) = folder.listFiles().orEmpty().forEach { assets.put("$asset/${it.name}", it.readBytes()) }
