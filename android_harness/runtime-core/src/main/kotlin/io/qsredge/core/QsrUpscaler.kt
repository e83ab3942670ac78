package io.qsredge.core

import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.withLock

/** Tells how the device is; `DeviceSensors` of runtime-android does. Asked about once a second, on the upscaling thread. */
public fun interface SensorSource {
    /**
     * What is known now.
     *
     * @param pixels of the input of a frame.
     * @param budgetUs that a frame may take; null for no deadline.
     * @param latencyRatioMilli of a [LatencyTracker]; null if nothing was observed yet.
     */
    public fun sample(
        pixels: Long,
        budgetUs: Long?,
        latencyRatioMilli: Int?,
    ): Sample
}

/** Told of changes of depth; on whichever thread they happen. */
public interface UpscalerListener {
    /** From now on frames run at another depth. */
    public fun onDepth(
        depth: Int,
        reasons: List<String>,
    ) {}

    /** The model of a depth cannot be loaded; frames go on at the depth that runs. */
    public fun onDepthFailed(
        depth: Int,
        error: QsrException,
    ) {}
}

/**
 * How an upscaler works.
 *
 * @property depth to begin with; null for the policy's, or the deepest if no sensors are given.
 * @property threads of the runtime.
 * @property kernels of the runtime; null for its default.
 * @property tilePx longest distance from one tile's start to the next one's, in input pixels. A window takes about 1.3 KB
 *   a pixel in LiteRT: 256 and a halo of 18 are about 110 MB, 128 about 35 MB and, for its halos, a quarter more time.
 * @property budgetUs that a frame may take; null if nobody waits.
 */
public data class UpscalerOptions(
    val depth: Int? = null,
    val threads: Int = 2,
    val kernels: String? = null,
    val tilePx: Int = 256,
    val budgetUs: Long? = null,
)

/** A depth's golden output on this device: [equal] if its sha256 is the manifest's. */
public data class SelfTest(
    val depth: Int,
    val equal: Boolean,
    val sha256: String,
    val expectedSha256: String,
)

/**
 * Upscales images and camera frames with a bundle's networks, at a depth that the device can bear.
 *
 * For any number of threads; one image is upscaled at a time. Making one loads a model, [upscale] and [selfTest] compute:
 * none of it is for the main thread. [close] ends what runs.
 *
 * @param bundle an open bundle.
 * @param backend the app's runtime.
 * @param sensors of the device, for the selector; null to stay at a depth until [requestDepth].
 * @throws BundleException if the bundle is for another runtime, or lacks the depth, or has no policy though sensors are given.
 * @throws BackendException if the model cannot be loaded.
 */
public class QsrUpscaler(
    private val bundle: QsrBundle,
    private val backend: Backend,
    private val options: UpscalerOptions = UpscalerOptions(),
    private val sensors: SensorSource? = null,
    listener: UpscalerListener? = null,
) : AutoCloseable {
    private val manifest = bundle.manifest
    private val frame = ReentrantLock()

    @Volatile
    private var closed = false

    // Guarded by `frame`.
    private val selector: Selector? = sensors?.let { makeSelector() }
    private var state: State? = null
    private var reasons: List<String> = emptyList()
    private var tracker = LatencyTracker()
    private var sampledNs: Long? = null
    private val models: ModelSwitch

    init {
        val first = options.depth ?: manifest.selector?.takeIf { sensors != null }?.initialDepth
        models =
            ModelSwitch(
                first = first ?: manifest.depths.last().depth,
                load = ::load,
                listener = listener,
            )
    }

    /** Factor by which images are enlarged. */
    public val scale: Int get() = manifest.scale

    /** Every depth that there is, ascending. */
    public val depths: List<Int> get() = manifest.depths.map { it.depth }

    /** The depth of the last frame, or of the first one to come. */
    public val depth: Int get() = models.depth

    /** Size of what becomes of an image. */
    public fun outputSize(input: Size): Size = input.times(scale)

    /**
     * Upscale an image or frame: the network's own bytes, colours alone. For a picture with alpha, or a grey one that is to
     * stay grey, there is [upscalePicture].
     *
     * @param source the image.
     * @param sink takes scale times as many rows and columns.
     * @param cancel ends it between two tiles.
     * @param progress told after each tile.
     * @throws BusyException if it is called by what it calls itself: source, sink, progress, sensors or listener.
     * @throws CancelledException if it was cancelled or the upscaler closed meanwhile; the sink has part of the image.
     * @throws ClosedException if the upscaler was closed before.
     * @throws PixelException if the image does not fit.
     * @throws BackendException if the runtime fails.
     */
    public fun upscale(
        source: PixelSource,
        sink: PixelSink,
        cancel: CancelSignal? = null,
        progress: Progress? = null,
    ) {
        if (sink is PixelSource) checkOutput(source.size, sink.size)
        inTurn(source.size) { tiles ->
            val start = System.nanoTime()
            tiles.run(source, sink, options.tilePx, progress) { checkRunning(cancel) }
            System.nanoTime() - start
        }
    }

    /**
     * Upscale a picture as the Python package does, byte for byte. Colours under fully transparent pixels are replaced by
     * visible ones nearby, so that soft edges get no fringe. Alpha goes through the network, which takes a second run
     * wherever it is not flat; opaque stays opaque. If R = G = B in every visible pixel, it is so in the output.
     *
     * Memory grows with the picture by half a byte a pixel, and only if some pixels are hidden. Errors as [upscale].
     *
     * @param source the picture.
     * @param sink scale times as large; opaque until its colours are complete, and left so if the work is cut short.
     * @param cancel ends it between two tiles.
     * @param progress told after each tile; tiles of alpha count as well.
     */
    public fun upscalePicture(
        source: ArgbRows,
        sink: ArgbRows,
        cancel: CancelSignal? = null,
        progress: Progress? = null,
    ) {
        checkOutput(source.size, sink.size)
        inTurn(source.size) { tiles ->
            PictureUpscaling(tiles).run(source, sink, options.tilePx, progress) { checkRunning(cancel) }
        }
    }

    private fun checkOutput(
        input: Size,
        output: Size,
    ) {
        if (output != outputSize(input)) throw PixelException("the output is $output, expected ${outputSize(input)}")
    }

    /** Do [work] when the image before is done, with the model that is due; it tells how many nanoseconds one run took. */
    private fun inTurn(
        input: Size,
        work: (TiledUpscaling) -> Long,
    ) {
        checkSize(input)
        if (frame.isHeldByCurrentThread) {
            throw BusyException("upscale was called by what it calls itself; call it when the running one has returned")
        }
        frame.withLock {
            try {
                upscaleNow(input, work)
            } finally {
                // Closed by one of the callbacks.
                if (closed) models.close()
            }
        }
    }

    private fun upscaleNow(
        input: Size,
        work: (TiledUpscaling) -> Long,
    ) {
        checkOpen()
        // Beyond the selector's limit all images are equally large to it.
        val pixels = (input.heightPx.toLong() * input.widthPx).coerceAtMost(MAX_PIXELS)
        adapt(pixels)
        val model = models.current(reasons)
        observe(model.depth, pixels, work(model.tiles) / NS_PER_US)
    }

    /** [upscale] bytes to bytes; the parameters of [RgbImage]. */
    public fun upscale(
        image: RgbImage,
        cancel: CancelSignal? = null,
        progress: Progress? = null,
    ): RgbImage = RgbImage(outputSize(image.size)).also { upscale(image, it, cancel, progress) }

    /** [upscalePicture] ints to ints. The parameters of [ArgbImage]. */
    public fun upscale(
        image: ArgbImage,
        cancel: CancelSignal? = null,
        progress: Progress? = null,
    ): ArgbImage = ArgbImage(outputSize(image.size)).also { upscalePicture(image, it, cancel, progress) }

    /**
     * Ask for another depth. Its model is loaded beside the running one, and takes over between two frames; a later
     * request, or the selector's decision, replaces this one.
     *
     * @throws BundleException if the bundle lacks it.
     */
    public fun requestDepth(depth: Int) {
        checkOpen()
        manifest.depthEntry(depth)
        models.request(depth)
    }

    /**
     * Let every depth compute the golden image and compare with the manifest. Takes each model's memory in turn beside the
     * running one's.
     *
     * @throws CancelledException if the upscaler was closed meanwhile.
     * @throws BackendException if a model cannot be loaded or run.
     */
    public fun selfTest(): List<SelfTest> {
        checkOpen()
        val golden = manifest.golden
        val image = RgbImage(golden.size, Golden.image(golden))
        return manifest.depths.map { entry ->
            load(entry.depth, null).use { model ->
                val output = RgbImage(outputSize(golden.size))
                model.tiles.run(image, output, options.tilePx) { checkRunning() }
                val hash = Golden.sha256Of(output.toByteArray())
                SelfTest(entry.depth, hash == entry.goldenSha256, hash, entry.goldenSha256)
            }
        }
    }

    /**
     * Frees the models; waits for the tile that is being computed. Again: nothing. Called by what [upscale] calls, it ends
     * that image, and the models are freed when [upscale] ends.
     */
    override fun close() {
        closed = true
        if (!frame.isHeldByCurrentThread) frame.withLock { models.close() }
    }

    private fun checkOpen() {
        if (closed) throw ClosedException("this upscaler was closed; make a new one")
    }

    private fun checkRunning(cancel: CancelSignal? = null) {
        if (closed) throw CancelledException("the upscaler was closed")
        if (cancel?.isCancelled == true) throw CancelledException("cancelled")
    }

    private fun makeSelector(): Selector {
        val policy = manifest.selector
        val table = manifest.latency
        if (policy == null || table == null) {
            throw BundleException(
                "${bundle.root}: has no selector's policy; convert it with this release, or give no sensors",
            )
        }
        return Selector(policy, table)
    }

    private fun load(
        depth: Int,
        image: Size?,
    ): DepthModel {
        val spec = bundle.modelSpec(backend, depth, options.threads, options.kernels)
        val entry = manifest.depthEntry(depth)
        val model = backend.load(spec)
        try {
            val tiles = TiledUpscaling(model, scale, entry, manifest.inputSize, backend.largestSidePx)
            // Depths differ in their halos, so in their windows.
            if (image != null) tiles.warmUp(image, options.tilePx)
            return DepthModel(depth, model, tiles)
        } catch (error: Throwable) {
            model.close()
            throw error
        }
    }

    private fun adapt(pixels: Long) {
        val selector = selector ?: return
        val sensors = sensors ?: return
        val now = System.nanoTime()
        sampledNs?.let { if (now - it < SAMPLE_INTERVAL_NS) return }
        sampledNs = now
        val decision = selector.step(state, sensors.sample(pixels, options.budgetUs, tracker.ratioMilli))
        state = decision.state
        reasons = decision.reasons
        models.request(decision.state.depth)
    }

    private fun observe(
        depth: Int,
        pixels: Long,
        latencyUs: Long,
    ) {
        manifest.latency?.let { tracker = tracker.observe(it, depth, pixels, latencyUs.coerceAtMost(MAX_LATENCY_US)) }
    }

    private companion object {
        const val NS_PER_US = 1000L
        const val MAX_PIXELS = 1L shl 27
        const val MAX_LATENCY_US = 1L shl 40
        const val SAMPLE_INTERVAL_NS = 1_000_000_000L
    }
}
