package io.qsredge.executorch

import io.qsredge.core.Backend
import io.qsredge.core.LoadedModel
import io.qsredge.core.ModelSpec
import io.qsredge.core.Size
import io.qsredge.core.checkKernels
import io.qsredge.core.checkProgram
import io.qsredge.core.checkWeightsWithin
import io.qsredge.core.guarded
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor
import java.nio.ByteBuffer

/**
 * ExecuTorch. A model runs in XNNPACK or in portable kernels as it was written; another family than its own is refused.
 * The number of threads is one setting for all models of a process.
 */
public class ExecuTorchBackend : Backend {
    override val target: String = "executorch"
    override val runtime: String = EXECUTORCH
    override val kernels: List<String> = listOf("xnnpack", "portable")
    override val largestSidePx: Int = 1024

    override fun load(spec: ModelSpec): LoadedModel {
        spec.checkWeightsWithin("ExecuTorch's Java interface")
        spec.checkProgram(LIBRARY)
        return guarded(EXECUTORCH, spec) { ExecuTorchModel(spec) }
    }
}

private const val EXECUTORCH = "ExecuTorch"
private const val CHANNELS = 3L
private const val LIBRARY = "1.5.1"

private class ExecuTorchModel(
    private val spec: ModelSpec,
) : LoadedModel {
    private val module = Module.load(spec.file.path, Module.LOAD_MODE_MMAP, spec.threads)
    private val method = (spec.signature ?: "forward").also { spec.checkKernels(module.getMethodMetadata(it).backends) }

    override fun run(
        size: Size,
        input: ByteBuffer,
        output: ByteBuffer,
    ): Unit =
        guarded(EXECUTORCH, spec) {
            // The program reads and writes rows of RGB, channels last; the shape is told channels first, as torch has it.
            val shape = longArrayOf(1, CHANNELS, size.heightPx.toLong(), size.widthPx.toLong())
            val (upscaled) = module.execute(method, EValue.from(Tensor.fromBlobUnsigned(input, shape)))
            output.put(upscaled.toTensor().dataAsUnsignedByteArray)
        }

    override fun close() = module.destroy()
}
