package io.qsredge.litert

import io.qsredge.core.Backend
import io.qsredge.core.BackendException
import io.qsredge.core.LoadedModel
import io.qsredge.core.ModelSpec
import io.qsredge.core.Size
import io.qsredge.core.guarded
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.TensorFlowLite
import java.nio.ByteBuffer

/** LiteRT's interpreter on the CPU. */
public class LiteRtBackend : Backend {
    override val target: String = "tflite"
    override val runtime: String by lazy { "$LITERT ${TensorFlowLite.runtimeVersion()}" }
    override val kernels: List<String> = listOf(XNNPACK, "builtin")
    override val largestSidePx: Int? = null

    override fun load(spec: ModelSpec): LoadedModel = guarded(LITERT, spec) { LiteRtModel(spec) }
}

private const val LITERT = "LiteRT"
private const val XNNPACK = "xnnpack"

private class LiteRtModel(
    private val spec: ModelSpec,
) : LoadedModel {
    private val options = Interpreter.Options().setNumThreads(spec.threads)
    private val interpreter = Interpreter(spec.file, options.setUseXNNPACK((spec.kernels ?: XNNPACK) == XNNPACK))
    private val signature = spec.signature
    private var planned = spec.inputSize

    override fun run(
        size: Size,
        input: ByteBuffer,
        output: ByteBuffer,
    ): Unit =
        guarded(LITERT, spec) {
            if (size != planned) resize(size)
            if (signature == null) {
                interpreter.run(input, output)
            } else {
                interpreter.runSignature(mapOf(INPUT to input), mapOf(OUTPUT to output), signature)
            }
        }

    private fun resize(size: Size) {
        planned = null
        if (signature == null) {
            interpreter.resizeInput(0, intArrayOf(1, size.heightPx, size.widthPx, CHANNELS))
        } else {
            // Only an array's shape resizes the input of a signature.
            val array = arrayOf(Array(size.heightPx) { Array(size.widthPx) { ByteArray(CHANNELS) } })
            interpreter.runSignature(mapOf(INPUT to array), emptyMap<String, Any>(), signature)
        }
        planned = size
    }

    override fun close() = interpreter.close()

    private companion object {
        const val INPUT = "image"
        const val OUTPUT = "upscaled"
        const val CHANNELS = 3
    }
}
