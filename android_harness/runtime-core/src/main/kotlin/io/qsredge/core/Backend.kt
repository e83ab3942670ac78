package io.qsredge.core

import java.io.File
import java.nio.ByteBuffer

/**
 * A model of a bundle, and how to run it.
 *
 * @property file on disk.
 * @property depth number of residual blocks.
 * @property signature entry point within the file, if it holds several depths.
 * @property scale factor by which it enlarges.
 * @property inputSize the one size that it takes; null for any.
 * @property threads of the runtime.
 * @property kernels family of kernels, one of [Backend.kernels]; null for the runtime's default.
 */
public data class ModelSpec(
    val file: File,
    val depth: Int,
    val signature: String?,
    val scale: Int,
    val inputSize: Size?,
    val threads: Int,
    val kernels: String?,
)

/** A runtime. An app ships one: each lies in a module of its own (`runtime-litert`, `runtime-executorch`). */
public interface Backend {
    /** What bundles for it have as their target. */
    public val target: String

    /** Name and version, for people. */
    public val runtime: String

    /** Families of kernels, the default first. */
    public val kernels: List<String>

    /** The longest side of an input that its models of any size take; null for any. */
    public val largestSidePx: Int?

    /**
     * Load a model. May be called on any thread, and while other models run.
     *
     * @throws BackendException if it cannot.
     */
    public fun load(spec: ModelSpec): LoadedModel
}

/** A loaded model; for one thread at a time, not necessarily always the same. */
public interface LoadedModel : AutoCloseable {
    /**
     * Upscale a window.
     *
     * @param size of the window in pixels.
     * @param input direct, its capacity exactly height * width * 3 bytes: rows first, then columns, then R, G, B.
     * @param output direct, its capacity exactly scale^2 times that; is filled from its beginning. Positions of both are
     *   undefined afterwards.
     * @throws BackendException if the runtime fails.
     */
    public fun run(
        size: Size,
        input: ByteBuffer,
        output: ByteBuffer,
    )

    override fun close()
}

/**
 * Do [work] of a runtime; what it throws, and that it cannot be loaded, becomes a [BackendException].
 *
 * @param runtime its name, for the message.
 */
@InternalQsrApi
public inline fun <T> guarded(
    runtime: String,
    spec: ModelSpec,
    work: () -> T,
): T =
    try {
        work()
    } catch (error: RuntimeException) {
        throw BackendException("${spec.file}: $runtime cannot load or run it (${error.message})", error)
    } catch (error: LinkageError) {
        throw BackendException("$runtime's native library cannot be loaded on this device ($error)", error)
    }

/**
 * See that a model has its weights in its own file, for runtimes that are given no other.
 *
 * @throws BackendException if a file of weights (`.ptd`, ExecuTorch's) lies beside it.
 */
@InternalQsrApi
public fun ModelSpec.checkWeightsWithin(runtime: String) {
    val weights = File(file.parentFile, "${file.nameWithoutExtension}.ptd")
    if (weights.exists()) {
        throw BackendException(
            "$file: $runtime takes no weights apart (${weights.name}); convert with --pack per-depth",
        )
    }
}

/**
 * See that a model is run in the kernels that it was written for, where its file says them (ExecuTorch's): `xnnpack` if
 * anything of it is given to XNNPACK, else `portable`.
 *
 * @param delegates of the model, by the runtime's names.
 * @throws BackendException if [ModelSpec.kernels] names others.
 */
@InternalQsrApi
public fun ModelSpec.checkKernels(delegates: Array<String>) {
    val own = if ("XnnpackBackend" in delegates) "xnnpack" else "portable"
    if (kernels != null && kernels != own) {
        throw BackendException("$file: runs in $own kernels as it was written, got '$kernels'; expected $own")
    }
}

/**
 * The spec of a bundle's depth.
 *
 * @throws BundleException if the bundle is for another runtime or lacks the depth.
 * @throws BackendException if the runtime lacks the kernels.
 */
public fun QsrBundle.modelSpec(
    backend: Backend,
    depth: Int,
    threads: Int,
    kernels: String? = null,
): ModelSpec {
    if (manifest.target != backend.target) {
        throw BundleException(
            "$root: is for ${manifest.target}, this app runs ${backend.target}; convert with --target ${backend.target}",
        )
    }
    if (kernels != null && kernels !in backend.kernels) {
        throw BackendException("${backend.runtime} has no kernels '$kernels', only ${backend.kernels.joinToString()}")
    }
    if (threads < 1) throw BackendException("threads = $threads, expected at least 1")
    val entry = manifest.depthEntry(depth)
    return ModelSpec(
        file = File(root, entry.file),
        depth = depth,
        signature = entry.signature,
        scale = manifest.scale,
        inputSize = manifest.inputSize,
        threads = threads,
        kernels = kernels,
    )
}
