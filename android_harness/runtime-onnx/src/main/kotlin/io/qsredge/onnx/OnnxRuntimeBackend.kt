package io.qsredge.onnx

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import io.qsredge.core.Backend
import io.qsredge.core.BackendException
import io.qsredge.core.LoadedModel
import io.qsredge.core.ModelSpec
import io.qsredge.core.Size
import io.qsredge.core.fromPlanes
import io.qsredge.core.guarded
import io.qsredge.core.toPlanes
import java.nio.ByteBuffer

/**
 * ONNX Runtime: on the CPU, or with the kernels `htp` on the Hexagon NPU of Snapdragon processors, which needs the
 * package `onnxruntime-android-qnn` in place of `onnxruntime-android`. There nothing falls back to the CPU: a node that
 * the NPU does not take makes loading fail.
 */
public class OnnxRuntimeBackend : Backend {
    override val target: String = "onnx"
    override val runtime: String by lazy { "$ONNX_RUNTIME ${OrtEnvironment.getEnvironment().version}" }
    override val kernels: List<String> = listOf(CPU, HTP)
    override val largestSidePx: Int? = null

    override fun load(spec: ModelSpec): LoadedModel = checked(spec) { OnnxModel(spec) }
}

private const val ONNX_RUNTIME = "ONNX Runtime"
private const val CPU = "cpu"
private const val HTP = "htp"
private const val IMAGE = "image"
private const val CHANNELS = 3

/** As [guarded]; ONNX Runtime's own exception is a checked one. */
private inline fun <T> checked(
    spec: ModelSpec,
    work: () -> T,
): T =
    guarded(ONNX_RUNTIME, spec) {
        try {
            work()
        } catch (error: OrtException) {
            throw BackendException("${spec.file}: $ONNX_RUNTIME cannot load or run it (${error.message})", error)
        }
    }

private class OnnxModel(
    private val spec: ModelSpec,
) : LoadedModel {
    private val environment = OrtEnvironment.getEnvironment()
    private val npu = spec.kernels == HTP

    /** The NPU compiles a model for one size; the CPU's session takes any. */
    private var size: Size? = spec.inputSize
    private var session: OrtSession? = if (npu && size == null) null else opened(size)
    private var planes: ByteBuffer = ByteBuffer.allocateDirect(0)

    override fun run(
        size: Size,
        input: ByteBuffer,
        output: ByteBuffer,
    ): Unit =
        checked(spec) {
            val session = sessionFor(size)
            val pixels = size.heightPx * size.widthPx
            if (planes.capacity() != pixels * CHANNELS) planes = ByteBuffer.allocateDirect(pixels * CHANNELS)
            toPlanes(input, planes, pixels)
            planes.rewind()
            val shape = longArrayOf(1, CHANNELS.toLong(), size.heightPx.toLong(), size.widthPx.toLong())
            OnnxTensor.createTensor(environment, planes, shape, OnnxJavaType.UINT8).use { image ->
                session.run(mapOf(IMAGE to image)).use { result ->
                    val upscaled = result.get(0) as OnnxTensor
                    fromPlanes(upscaled.byteBuffer, output, pixels * spec.scale * spec.scale)
                }
            }
        }

    private fun sessionFor(wanted: Size): OrtSession {
        val open = session
        if (open != null && (!npu || wanted == size)) return open
        open?.close()
        session = null
        size = wanted
        return opened(wanted).also { session = it }
    }

    private fun opened(size: Size?): OrtSession =
        OrtSession.SessionOptions().use { options ->
            options.setIntraOpNumThreads(spec.threads)
            if (npu && size != null) {
                options.addQnn(mapOf("backend_path" to "libQnnHtp.so", "offload_graph_io_quantization" to "0"))
                options.addConfigEntry("session.disable_cpu_ep_fallback", "1")
                // What a model for any size calls its dimensions; of no effect on one for a fixed size.
                options.setSymbolicDimensionValue("height", size.heightPx.toLong())
                options.setSymbolicDimensionValue("width", size.widthPx.toLong())
            }
            environment.createSession(spec.file.path, options)
        }

    override fun close() {
        session?.close()
        session = null
    }
}
