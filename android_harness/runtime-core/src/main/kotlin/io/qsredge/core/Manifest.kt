package io.qsredge.core

import java.io.ByteArrayOutputStream
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.security.MessageDigest

/** Quality of a depth on a data set: PSNR in dB and SSIM on luma. */
public data class QualityEntry(
    val dataset: String,
    val psnrDb: Double,
    val ssim: Double,
    val images: Long,
)

/**
 * One depth of the network.
 *
 * @property depth number of residual blocks.
 * @property file path of the model in the bundle.
 * @property signature entry point within the file, if it holds several depths.
 * @property haloPx pixels of the input around a tile that its output depends on; 32768 if only tiles on a grid have such.
 * @property goldenSha256 of the output's bytes for the golden input.
 * @property macsPerPixel multiply-accumulates per pixel of the input.
 * @property quality as measured on the deployed graph.
 * @property grid tiles of a network that sees where an image begins; null for tiles that begin anywhere.
 */
public data class DepthEntry(
    val depth: Int,
    val file: String,
    val signature: String?,
    val haloPx: Int,
    val goldenSha256: String,
    val macsPerPixel: Long,
    val quality: List<QualityEntry>,
    val grid: TileGrid? = null,
)

/**
 * Tiles of a network whose windows of attention stand on a grid.
 *
 * @property stepPx tiles begin and end at multiples of it; an image is continued by reflection to the next multiple.
 * @property haloPx receptive-field radius of such tiles; twice of it is a multiple of the step.
 */
public data class TileGrid(
    val stepPx: Int,
    val haloPx: Int,
)

/** A file of the bundle: path relative to the manifest, with forward slashes; sha256 in lower case; size in bytes. */
public data class FileEntry(
    val path: String,
    val sha256: String,
    val bytes: Long,
)

/** Height and width in pixels. */
public data class Size(
    val heightPx: Int,
    val widthPx: Int,
)

/** The image of [Golden.image] that the golden hashes belong to. */
public data class GoldenInput(
    val seed: Long,
    val size: Size,
)

/**
 * What a bundle holds, as far as an app needs it.
 *
 * @property byteExact whether the models compute the golden interpreter's bytes.
 * @property inputSize the one size that the models take; null for any.
 * @property selector null in bundles of version 1.0.
 * @property latency null in bundles of version 1.0.
 */
public data class Manifest(
    val name: String,
    val target: String,
    val scale: Int,
    val bits: Int,
    val byteExact: Boolean,
    val inputSize: Size?,
    val selector: Policy?,
    val latency: LatencyTable?,
    val depths: List<DepthEntry>,
    val golden: GoldenInput,
    val files: List<FileEntry>,
) {
    /** The entry of a depth; a [BundleException] names those that there are. */
    public fun depthEntry(depth: Int): DepthEntry =
        depths.firstOrNull { it.depth == depth }
            ?: throw BundleException("$name: has no depth $depth, only ${depths.map { it.depth }}")

    /**
     * Check every listed file: there, inside the folder, of its size and hash.
     *
     * @param hashes false to leave the hashes out, if they were checked before.
     * @throws BundleException naming the first that is not.
     */
    public fun verifyFiles(
        folder: File,
        hashes: Boolean = true,
    ) {
        val root = folder.canonicalFile
        for (entry in files) {
            val file = File(folder, entry.path)
            if (!file.canonicalFile.startsWith(root)) {
                throw BundleException("$file: a link that leaves the bundle; $REMEDY")
            }
            if (!file.isFile) throw BundleException("$file: missing; $REMEDY")
            val isOfItsSize = file.length() == entry.bytes
            if (!isOfItsSize && entry.path != MODEL_CARD) {
                throw BundleException("$file: ${file.length()} bytes, expected ${entry.bytes}; $REMEDY")
            }
            if (!hashes && isOfItsSize) continue
            try {
                file.inputStream().use { copyVerified(it, entry, null, "$file") }
            } catch (error: IOException) {
                throw BundleException("$file: cannot be read (${error.message}); check its permissions", error)
            }
        }
    }

    public companion object {
        /** Name of the file in a bundle. */
        public const val FILE_NAME: String = "manifest.json"

        internal const val MODEL_CARD = "MODEL_CARD.md"
        private const val MAJOR = "1"
        internal const val LIMIT_BYTES = 1 shl 20
        internal const val REMEDY = "fetch the bundle anew"
        private val PATH = Regex("[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
        private val VERSION = Regex("[0-9]{1,6}\\.[0-9]{1,6}")
        private val DIGEST_LINE = Regex("\\{\n {2}\"manifest_sha256\": \"([0-9a-f]{64})\",\n")
        private const val DIGEST_LINE_BYTES = 128

        private val schema: JsonSchema by lazy {
            val stream = Manifest::class.java.getResourceAsStream("/io/qsredge/core/manifest.schema.json")
            checkNotNull(stream) { "manifest.schema.json is not among the library's resources" }
            JsonSchema(stream.use { Json.parse(it.readBytes()) } as Json.Object)
        }

        /**
         * Read a manifest and check all that can be checked without the files it lists.
         *
         * @param content of the file.
         * @param source its name, for messages.
         * @throws BundleException if it is too large, not JSON, of an unknown version, damaged, or contradicts itself.
         */
        public fun parse(
            content: ByteArray,
            source: String = FILE_NAME,
        ): Manifest {
            if (content.size >
                LIMIT_BYTES
            ) {
                throw BundleException("$source: ${content.size} bytes, expected at most $LIMIT_BYTES; $REMEDY")
            }
            val json =
                try {
                    Json.parse(content) as? Json.Object ?: throw BundleException("$source: no JSON object; $REMEDY")
                } catch (error: JsonException) {
                    throw BundleException("$source: not valid JSON in UTF-8 (${error.message}); $REMEDY", error)
                }
            val version = (json["schema_version"] as? Json.Text)?.value
            if (version == null ||
                !VERSION.matches(version)
            ) {
                throw BundleException("$source: no schema_version; $REMEDY")
            }
            if (version.substringBefore('.') != MAJOR) {
                throw BundleException("$source: schema_version $version, this release reads $MAJOR.x; update the app")
            }
            checkDigest(content, source)
            schema.firstError(json)?.let { throw BundleException("$source: at $it; $REMEDY") }
            return try {
                decode(json).also { check(it, json) }
            } catch (error: PolicyException) {
                throw BundleException("$source: ${error.message}; $REMEDY", error)
            }
        }

        private fun checkDigest(
            content: ByteArray,
            source: String,
        ) {
            val start = String(content, 0, minOf(DIGEST_LINE_BYTES, content.size), Charsets.ISO_8859_1)
            val found =
                DIGEST_LINE.matchAt(start, 0)
                    ?: throw BundleException(
                        "$source: the second line is not its manifest_sha256: edited or damaged; $REMEDY",
                    )
            val rest = content.copyOfRange(found.value.length, content.size)
            if (sha256("{\n".toByteArray() + rest) != found.groupValues[1]) {
                throw BundleException("$source: edited or damaged, its sha256 is another; $REMEDY")
            }
        }

        private fun decode(json: Json.Object): Manifest =
            Manifest(
                name = Records.string(json, "name"),
                target = Records.string(json, "target"),
                scale = Records.int(json, "scale"),
                bits = Records.int(json, "bits"),
                byteExact = json["deployment"]?.let { Records.boolean(it, "byte_exact") } ?: true,
                inputSize = json["input_size_px"]?.let(::size),
                selector = json["selector"]?.let(Records::policy),
                latency = json["latency"]?.let(Records::latencyTable),
                depths = Records.list(json, "depths").map(::depth),
                golden =
                    json["golden"]!!.let {
                        GoldenInput(
                            Records.long(it, "seed"),
                            Size(Records.int(it, "height_px"), Records.int(it, "width_px")),
                        )
                    },
                files =
                    Records.list(json, "files").map {
                        FileEntry(Records.string(it, "path"), Records.string(it, "sha256"), Records.long(it, "bytes"))
                    },
            )

        private fun size(json: Json): Size {
            val sides = (json as Json.Array).values.map { (it as Json.Number).value.intValueExact() }
            return Size(sides[0], sides[1])
        }

        private fun depth(json: Json): DepthEntry =
            DepthEntry(
                depth = Records.int(json, "depth"),
                file = Records.string(json, "file"),
                signature = ((json as Json.Object)["signature"] as Json.Text?)?.value,
                haloPx = Records.int(json, "halo_px"),
                goldenSha256 = Records.string(json, "golden_sha256"),
                macsPerPixel = Records.long(json, "macs_per_pixel"),
                quality =
                    Records.list(json, "quality").map {
                        fun number(key: String) = ((it as Json.Object)[key] as Json.Number).value.toDouble()
                        QualityEntry(
                            Records.string(it, "dataset"),
                            number("psnr_db"),
                            number("ssim"),
                            Records.long(it, "images"),
                        )
                    },
                grid = json["grid"]?.let { TileGrid(Records.int(it, "step_px"), Records.int(it, "halo_px")) },
            )

        /** What a schema cannot say. */
        private fun check(
            manifest: Manifest,
            json: Json.Object,
        ) {
            val depths = manifest.depths.map { it.depth }

            fun demand(
                condition: Boolean,
                what: String,
            ) {
                if (!condition) throw PolicyException(what)
            }
            demand(depths == depths.toSortedSet().toList(), "depths are $depths, expected ascending and each once")
            val models = manifest.depths.map { it.file to it.signature }
            demand(models.toSet().size == models.size, "two depths are in the same file under the same signature")
            demand(
                manifest.latency == null || manifest.latency.depths == depths,
                "the latency table has other depths than the bundle",
            )
            manifest.selector?.checkDepths(depths)
            demand(
                manifest.inputSize == null || manifest.inputSize == manifest.golden.size,
                "the golden input is of another size",
            )
            for (grid in manifest.depths.mapNotNull { it.grid }) {
                demand(2 * grid.haloPx % grid.stepPx == 0, "$grid: expected a multiple of half the step")
                val sides = manifest.inputSize?.let { listOf(it.heightPx, it.widthPx) }.orEmpty()
                demand(sides.all { it % grid.stepPx == 0 }, "$grid: the models' input is no multiple of the step")
            }
            for (entry in Records.list(json, "parity")) {
                demand(Records.int(entry, "depth") in depths, "parity names a depth that the bundle does not offer")
            }
            // Compared without case: some file systems do not tell "A" from "a". Paths are ASCII.
            val seen = HashSet<String>()
            for (entry in manifest.files) {
                demand(PATH.matches(entry.path), "path '${entry.path}' is not allowed")
                val folded = entry.path.lowercase()
                demand(
                    folded != FILE_NAME && seen.add(folded),
                    "path '${entry.path}' is listed twice or is the manifest's own",
                )
            }
            for (path in seen) {
                val folders = path.split('/').dropLast(1)
                val inside = folders.indices.any { folders.take(it + 1).joinToString("/") in seen }
                demand(!inside, "path '$path' lies in another file")
            }
            for (entry in manifest.depths) {
                val listed = manifest.files.filter { it.path == entry.file || it.path.startsWith("${entry.file}/") }
                demand(listed.sumOf { it.bytes } > 0, "depth ${entry.depth} is in '${entry.file}', which is not listed")
            }
        }
    }
}

internal fun sha256(content: ByteArray): String = hex(MessageDigest.getInstance("SHA-256").digest(content))

internal fun hex(digest: ByteArray): String = digest.joinToString("") { "%02x".format(it) }

/**
 * Copy a listed file and see that it has its size and hash; reads no more than a byte past the size. A model card may have
 * got Windows' line ends or a byte-order mark on its way: it is copied as it was written.
 *
 * @param into where it goes; null to check only.
 * @throws BundleException if it is another.
 * @throws IOException if it cannot be read or written.
 */
internal fun copyVerified(
    from: InputStream,
    entry: FileEntry,
    into: OutputStream?,
    source: String,
) {
    if (entry.path == Manifest.MODEL_CARD) {
        copyWhole(restoredText(from, entry.bytes).inputStream(), entry, into, source)
    } else {
        copyWhole(from, entry, into, source)
    }
}

/** A text as it was written; what is larger than it was may have got Windows' line ends and a byte-order mark on its way. */
private fun restoredText(
    from: InputStream,
    writtenBytes: Long,
): ByteArray {
    val changed = ByteArrayOutputStream()
    val chunk = ByteArray(COPY_CHUNK_BYTES)
    while (changed.size() <= 2 * writtenBytes + BYTE_ORDER_MARK.length) {
        val count = from.read(chunk)
        if (count < 0) break
        changed.write(chunk, 0, count)
    }
    val content = changed.toByteArray()
    if (content.size <= writtenBytes) return content
    // A letter for each byte, so that nothing else changes.
    val text = String(content, Charsets.ISO_8859_1)
    return text.removePrefix(BYTE_ORDER_MARK).replace("\r\n", "\n").toByteArray(Charsets.ISO_8859_1)
}

private fun copyWhole(
    from: InputStream,
    entry: FileEntry,
    into: OutputStream?,
    source: String,
) {
    val digest = MessageDigest.getInstance("SHA-256")
    val chunk = ByteArray(COPY_CHUNK_BYTES)
    var size = 0L
    while (size <= entry.bytes) {
        val count = from.read(chunk, 0, minOf(chunk.size.toLong(), entry.bytes + 1 - size).toInt())
        if (count < 0) break
        digest.update(chunk, 0, count)
        into?.write(chunk, 0, count)
        size += count
    }
    if (size != entry.bytes) {
        val got = if (size > entry.bytes) "more" else "$size"
        throw BundleException("$source: $got bytes, expected ${entry.bytes}: cut or replaced; ${Manifest.REMEDY}")
    }
    val hash = hex(digest.digest())
    if (hash != entry.sha256) {
        throw BundleException("$source: sha256 is $hash, expected ${entry.sha256}: damaged; ${Manifest.REMEDY}")
    }
}

private const val COPY_CHUNK_BYTES = 1 shl 16
private const val BYTE_ORDER_MARK = "\u00EF\u00BB\u00BF"
