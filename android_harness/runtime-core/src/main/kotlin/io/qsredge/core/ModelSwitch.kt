package io.qsredge.core

import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

/** A model that is ready to upscale. */
internal class DepthModel(
    val depth: Int,
    private val model: LoadedModel,
    val tiles: TiledUpscaling,
) : AutoCloseable {
    override fun close() = model.close()
}

/**
 * The running model, and the one that will take over: it is loaded and warmed up on a thread of its own while the running
 * one goes on, and taken between two frames. A depth whose model cannot be loaded is not tried again until another was
 * asked for.
 *
 * @param first depth, loaded before the constructor returns.
 * @param load loads a depth and, if it is given the size of an image, runs one window of it.
 */
internal class ModelSwitch(
    first: Int,
    private val load: (Int, Size?) -> DepthModel,
    private val listener: UpscalerListener?,
) : AutoCloseable {
    private val lock = Any()
    private val loader: ExecutorService =
        Executors.newSingleThreadExecutor { task -> Thread(task, "qsr-edge-loader").apply { isDaemon = true } }

    // Guarded by `lock`.
    private var running: DepthModel
    private var ready: DepthModel? = null
    private var wanted = first
    private var loading = false
    private var failed: Int? = null
    private var closed = false
    private var image: Size? = null

    init {
        try {
            running = load(first, null)
        } catch (error: Throwable) {
            loader.shutdown()
            throw error
        }
    }

    val depth: Int get() = synchronized(lock) { running.depth }

    /** The model for the next frame. For the thread that runs frames; the model before is closed on the loader's. */
    fun current(reasons: List<String>): DepthModel {
        val before: DepthModel?
        val after: DepthModel
        synchronized(lock) {
            before = ready?.let { running }
            running = ready ?: running
            ready = null
            after = running
            // Of the frame before: the next one is taken to be of the same size.
            image = (before ?: after).tiles.imageSize ?: image
            if (before != null) loader.execute { before.close() }
        }
        if (before != null) listener?.onDepth(after.depth, reasons)
        return after
    }

    /** Ask for a depth; the last one asked for counts. */
    fun request(depth: Int) {
        val unused =
            synchronized(lock) {
                if (closed) return
                if (depth != wanted) failed = null
                wanted = depth
                image = running.tiles.imageSize ?: image
                val unused = ready?.takeIf { it.depth != depth }
                if (unused != null) ready = null
                startIfNeeded()
                unused
            }
        unused?.close()
    }

    private fun startIfNeeded() {
        if (closed || loading || wanted == running.depth || wanted == ready?.depth || wanted == failed) return
        loading = true
        val depth = wanted
        val size = image
        loader.execute { loadNow(depth, size) }
    }

    private fun loadNow(
        depth: Int,
        size: Size?,
    ) {
        var error: QsrException? = null
        var model: DepthModel? = null
        try {
            model = load(depth, size)
        } catch (known: QsrException) {
            error = known
        } catch (other: Throwable) {
            // A missing native library or no memory left must not end the app: the running model goes on.
            error = BackendException("depth $depth cannot be loaded: $other", other)
        }
        synchronized(lock) {
            loading = false
            if (model != null && !closed && wanted == depth) {
                ready = model
                model = null
            }
            if (error != null) failed = depth
            startIfNeeded()
        }
        model?.close()
        if (error != null) listener?.onDepthFailed(depth, error)
    }

    /** Closes all models; no frame may be running. */
    override fun close() {
        val open =
            synchronized(lock) {
                if (closed) return
                closed = true
                listOfNotNull(running, ready).also { ready = null }
            }
        open.forEach { it.close() }
        loader.shutdown()
    }
}
