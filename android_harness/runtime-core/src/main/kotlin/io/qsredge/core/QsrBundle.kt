package io.qsredge.core

import java.io.ByteArrayOutputStream
import java.io.File
import java.io.FileNotFoundException
import java.io.FileOutputStream
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.util.UUID

/** Where the files of a bundle come from, such as an app's assets. */
public fun interface BundleSource {
    /**
     * Open a file of the bundle.
     *
     * @param path relative to the manifest, with forward slashes.
     * @throws FileNotFoundException if there is none.
     */
    public fun open(path: String): InputStream
}

/**
 * A bundle on disk whose every file was checked.
 *
 * @property root folder that holds it; it must stay as it is while the bundle is in use.
 * @property manifest what it holds.
 */
public class QsrBundle private constructor(
    public val root: File,
    public val manifest: Manifest,
) {
    public companion object {
        private const val MARK = ".verified"
        private const val TEMPORARY = ".tmp"
        private const val ABANDONED_MS = 600_000L
        private val installing = Any()

        /**
         * Open a bundle where it lies.
         *
         * @param folder with the manifest.
         * @param marks folder of the app's own where it is noted that the hashes were checked, so that they are checked
         *   once, and again when a file was written since; sizes always are. Null to check hashes every time.
         * @throws BundleException if it is missing, incomplete, damaged, or of an unknown version.
         */
        public fun open(
            folder: File,
            marks: File? = null,
        ): QsrBundle {
            val content = manifestOf({ regular(File(folder, it)).inputStream() }, "$folder")
            val manifest = Manifest.parse(content, "$folder/${Manifest.FILE_NAME}")
            val mark = marks?.let { File(it, markOf(folder, content, manifest)) }
            manifest.verifyFiles(folder, hashes = mark?.isFile != true)
            // No mark is no harm: the hashes are checked again next time.
            if (mark?.isFile == false) {
                marks.mkdirs()
                mark.runCatching { createNewFile() }
            }
            return QsrBundle(folder, manifest)
        }

        /**
         * Copy a bundle into a folder of the app and open it; if that very bundle is there already, nothing but its
         * manifest and the sizes of its files is looked at. Hashes are checked while copying. Several processes may
         * install into one folder at once: each copies for itself, and the first one's bundle is everybody's.
         *
         * @param source of the bundle's files.
         * @param storage folder for installed bundles, such as `context.noBackupFilesDir/bundles`.
         * @throws BundleException if the bundle is incomplete, damaged, or of an unknown version, or cannot be written.
         */
        public fun install(
            source: BundleSource,
            storage: File,
        ): QsrBundle {
            val content = manifestOf(source, "the bundle")
            val manifest = Manifest.parse(content)
            val target = File(storage, sha256(content))
            synchronized(installing) {
                if (!isInstalled(manifest, target)) {
                    try {
                        copy(source, content, manifest, target)
                    } catch (error: IOException) {
                        throw BundleException(
                            "$target: cannot be installed (${error.message}); fetch the bundle anew, or free some space",
                            error,
                        )
                    }
                }
            }
            return QsrBundle(target, manifest)
        }

        /**
         * Install what [files], such as an app's assets, hold as a folder or as a .zip. Storage and errors as [install].
         *
         * @param name of the folder, or of the archive, which then ends in `.zip`.
         */
        public fun installFrom(
            files: BundleSource,
            name: String,
            storage: File,
        ): QsrBundle {
            if (!name.endsWith(".zip")) return install({ files.open("$name/$it") }, storage)
            try {
                return files.open(name).use { installZip(it, storage) }
            } catch (error: IOException) {
                throw BundleException("$name: cannot be read (${error.message}); ${Manifest.REMEDY}", error)
            }
        }

        /** Install from a .zip file; arguments and errors as [install]. */
        public fun installZip(
            zip: File,
            storage: File,
        ): QsrBundle {
            try {
                return ZipArchive(zip).use { install(it, storage) }
            } catch (error: IOException) {
                throw BundleException("$zip: cannot be read (${error.message}); ${Manifest.REMEDY}", error)
            }
        }

        /** Install from the bytes of a .zip file, such as an asset's; the stream is left open. Errors as [install]. */
        public fun installZip(
            zip: InputStream,
            storage: File,
        ): QsrBundle {
            val file = temporary(storage)
            try {
                makeFolder(storage)
                val limit = ZipArchive.CONTENT_LIMIT_BYTES + Manifest.LIMIT_BYTES
                FileOutputStream(file).use { copyLimited(zip, it, limit) }
                return installZip(file, storage)
            } catch (error: IOException) {
                throw BundleException("$storage: the bundle cannot be unpacked (${error.message})", error)
            } finally {
                file.delete()
            }
        }

        /**
         * Delete every installed bundle but these, such as those of the app's earlier releases. What is being installed
         * meanwhile stays.
         */
        public fun removeOthers(
            storage: File,
            keep: List<QsrBundle>,
        ) {
            val kept = keep.map { it.root.canonicalFile }
            storage
                .listFiles()
                .orEmpty()
                .filter { it.canonicalFile !in kept && (!isTemporary(it) || isAbandoned(it)) }
                .forEach { it.deleteRecursively() }
        }

        private fun markOf(
            folder: File,
            content: ByteArray,
            manifest: Manifest,
        ): String {
            // A bundle fetched anew to the same place is to be checked again, though its manifest is the same.
            val times = manifest.files.joinToString { "${File(folder, it.path).lastModified()}" }
            return sha256(content + "${folder.canonicalPath}\n$times".toByteArray())
        }

        // Opening a named pipe would wait for ever.
        private fun regular(file: File): File = if (file.isFile) file else throw FileNotFoundException("$file")

        private fun manifestOf(
            source: BundleSource,
            where: String,
        ): ByteArray {
            try {
                val content = ByteArrayOutputStream()
                source.open(Manifest.FILE_NAME).use { copyLimited(it, content, Manifest.LIMIT_BYTES.toLong()) }
                return content.toByteArray()
            } catch (error: FileNotFoundException) {
                throw BundleException("$where: no ${Manifest.FILE_NAME}, so not a bundle; ${Manifest.REMEDY}", error)
            } catch (error: IOException) {
                throw BundleException("$where: ${Manifest.FILE_NAME} cannot be read (${error.message})", error)
            }
        }

        /** Copy; a stream that is longer than the limit is a [BundleException]. */
        private fun copyLimited(
            from: InputStream,
            into: OutputStream,
            limitBytes: Long,
        ) {
            val chunk = ByteArray(1 shl 16)
            var size = 0L
            while (true) {
                val count = from.read(chunk)
                if (count < 0) return
                size += count
                if (size > limitBytes) throw BundleException("more than $limitBytes bytes; ${Manifest.REMEDY}")
                into.write(chunk, 0, count)
            }
        }

        private fun isInstalled(
            manifest: Manifest,
            target: File,
        ): Boolean {
            if (!File(target, MARK).isFile) return false
            return try {
                manifest.verifyFiles(target, hashes = false)
                true
            } catch (_: BundleException) {
                false
            }
        }

        private fun copy(
            source: BundleSource,
            content: ByteArray,
            manifest: Manifest,
            target: File,
        ) {
            val storage = target.parentFile!!
            makeFolder(storage)
            storage
                .listFiles()
                .orEmpty()
                .filter { isAbandoned(it) }
                .forEach { it.deleteRecursively() }
            val work = temporary(storage)
            try {
                makeFolder(work)
                for (entry in manifest.files) {
                    val file = File(work, entry.path)
                    makeFolder(file.parentFile!!)
                    val from =
                        try {
                            source.open(entry.path)
                        } catch (error: FileNotFoundException) {
                            throw BundleException("${entry.path}: missing, but listed; ${Manifest.REMEDY}", error)
                        }
                    from.use { write(file) { into -> copyVerified(it, entry, into, entry.path) } }
                }
                write(File(work, Manifest.FILE_NAME)) { it.write(content) }
                write(File(work, MARK)) {}
                place(work, manifest, target)
            } finally {
                work.deleteRecursively()
            }
        }

        /**
         * Renames a finished folder to its name. What another process installed meanwhile stays: it may be in use there, and
         * is the same bundle. Only what is not whole makes room.
         */
        private fun place(
            work: File,
            manifest: Manifest,
            target: File,
        ) {
            // A rename replaces no folder that holds anything.
            if (work.renameTo(target) || isInstalled(manifest, target)) return
            val damaged = temporary(target.parentFile!!)
            target.renameTo(damaged)
            val placed = work.renameTo(target) || isInstalled(manifest, target)
            damaged.deleteRecursively()
            if (!placed) throw IOException("cannot be renamed")
        }

        private fun temporary(storage: File): File = File(storage, ".${UUID.randomUUID()}$TEMPORARY")

        private fun isTemporary(file: File): Boolean = file.name.startsWith(".") && file.name.endsWith(TEMPORARY)

        /** Left by a process that was killed while it installed. */
        private fun isAbandoned(file: File): Boolean =
            isTemporary(file) && System.currentTimeMillis() - file.lastModified() > ABANDONED_MS

        private fun makeFolder(folder: File) {
            // Another process may make it at the same time.
            if (!folder.isDirectory && !folder.mkdirs() && !folder.isDirectory) {
                throw IOException("the folder $folder cannot be made")
            }
        }

        private fun write(
            file: File,
            content: (FileOutputStream) -> Unit,
        ) {
            FileOutputStream(file).use {
                content(it)
                it.fd.sync()
            }
        }
    }
}
