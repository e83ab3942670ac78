package io.qsredge.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.util.Random
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream

class BundleTest {
    private fun zip(
        file: File,
        contents: List<Pair<String, ByteArray>>,
        stored: Boolean = false,
    ): File {
        ZipOutputStream(file.outputStream()).use { zip ->
            for ((name, content) in contents) {
                val entry = ZipEntry(name)
                if (stored) {
                    entry.method = ZipEntry.STORED
                    entry.size = content.size.toLong()
                    entry.crc =
                        java.util.zip
                            .CRC32()
                            .apply { update(content) }
                            .value
                }
                zip.putNextEntry(entry)
                zip.write(content)
            }
        }
        return file
    }

    private fun contents(folder: File) = folder.listFiles()!!.sorted().map { it.name to it.readBytes() }

    @Test
    fun hashesAreCheckedOnceForAFolder() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val marks = folder.resolve("marks")
            QsrBundle.open(bundle, marks)
            // The same size but another hash: noticed only where no mark says that this very file was checked.
            val time = bundle.resolve("d1.tflite").lastModified()
            bundle.resolve("d1.tflite").writeText("8\n")
            assertTrue(bundle.resolve("d1.tflite").setLastModified(time + 5000))
            assertThrows(BundleException::class.java) { QsrBundle.open(bundle, marks) }
            assertTrue(bundle.resolve("d1.tflite").setLastModified(time))
            QsrBundle.open(bundle, marks)
            assertThrows(BundleException::class.java) { QsrBundle.open(bundle) }
            assertThrows(BundleException::class.java) { QsrBundle.open(bundle, folder.resolve("others")) }
            bundle.resolve("d1.tflite").writeText("88\n")
            assertThrows(BundleException::class.java) { QsrBundle.open(bundle, marks) }
            // Another manifest is another bundle.
            TestBundle.write(bundle, seed = 9)
            bundle.resolve("d1.tflite").writeText("8\n")
            assertThrows(BundleException::class.java) { QsrBundle.open(bundle, marks) }
        }

    @Test
    fun aBundleIsInstalledOnce() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val storage = folder.resolve("storage")
            val opened = ArrayList<String>()
            val source =
                BundleSource {
                    opened += it
                    bundle.resolve(it).inputStream()
                }
            val first = QsrBundle.install(source, storage)
            assertEquals(listOf("manifest.json", "d1.tflite", "d3.tflite"), opened)
            assertEquals(listOf(1, 3), first.manifest.depths.map { it.depth })
            opened.clear()
            assertEquals(first.root, QsrBundle.install(source, storage).root)
            assertEquals(listOf("manifest.json"), opened)
            // What is not whole is installed again.
            first.root.resolve("d3.tflite").delete()
            QsrBundle.install(source, storage)
            assertArrayEquals(bundle.resolve("d3.tflite").readBytes(), first.root.resolve("d3.tflite").readBytes())
            // A later release of the app brings another bundle.
            TestBundle.write(bundle, seed = 9)
            val second = QsrBundle.install(source, storage)
            assertEquals(2, storage.listFiles()!!.size)
            QsrBundle.removeOthers(storage, listOf(second))
            assertEquals(listOf(second.root), storage.listFiles()!!.toList())
        }

    @Test
    fun nothingHalfInstalledIsLeft() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val storage = folder.resolve("storage")
            val broken =
                BundleSource { path ->
                    if (path == "d3.tflite") throw IOException("No space left on device")
                    bundle.resolve(path).inputStream()
                }
            val error = assertThrows(BundleException::class.java) { QsrBundle.install(broken, storage) }
            assertTrue(error.message!!.contains("No space left"))
            // A file that cannot be made is no file that the bundle lacks.
            val blocked =
                BundleSource { path ->
                    if (path == "d3.tflite") {
                        storage
                            .listFiles()!!
                            .single()
                            .resolve(path)
                            .mkdirs()
                    }
                    bundle.resolve(path).inputStream()
                }
            val unwritable = assertThrows(BundleException::class.java) { QsrBundle.install(blocked, storage) }
            assertTrue("${unwritable.message}", unwritable.message!!.contains("cannot be installed"))
            val missing =
                BundleSource {
                    if (it ==
                        "d3.tflite"
                    ) {
                        throw FileNotFoundException(it)
                    } else {
                        bundle.resolve(it).inputStream()
                    }
                }
            assertThrows(BundleException::class.java) { QsrBundle.install(missing, storage) }
            val wrong =
                BundleSource {
                    if (it ==
                        "d3.tflite"
                    ) {
                        "8\n".byteInputStream()
                    } else {
                        bundle.resolve(it).inputStream()
                    }
                }
            assertThrows(BundleException::class.java) { QsrBundle.install(wrong, storage) }
            assertThrows(
                BundleException::class.java,
            ) { QsrBundle.install({ throw FileNotFoundException(it) }, storage) }
            assertEquals(emptyList<File>(), storage.listFiles()!!.toList())
            // What a killed process left goes when the next bundle is installed, unless it may still be at work.
            val old = storage.resolve(".old.tmp").apply { mkdirs() }
            val young = storage.resolve(".young.tmp").apply { mkdirs() }
            old.setLastModified(System.currentTimeMillis() - 3_600_000)
            QsrBundle.install({ bundle.resolve(it).inputStream() }, storage)
            assertFalse(old.exists())
            assertTrue(young.exists())
        }

    @Test
    fun whatAnotherProcessInstalledMeanwhileIsUsed() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val plain = BundleSource { bundle.resolve(it).inputStream() }
            for (damaged in listOf(false, true)) {
                val storage = folder.resolve("$damaged")
                if (damaged) {
                    val root = QsrBundle.install(plain, storage).root
                    root.resolve("d1.tflite").delete()
                }
                var winner: File? = null
                val slow =
                    BundleSource { path ->
                        if (path == "d3.tflite") {
                            winner = QsrBundle.install(plain, storage).root.apply { resolve("in use").writeText("x") }
                        }
                        plain.open(path)
                    }
                val loser = QsrBundle.install(slow, storage).root
                assertEquals(winner, loser)
                assertEquals(listOf(winner), storage.listFiles()!!.toList())
                assertTrue(winner!!.resolve("in use").isFile)
                QsrBundle.open(winner)
            }
        }

    @Test
    fun whatIsBeingInstalledIsNotRemoved() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val storage = folder.resolve("storage")
            val old = QsrBundle.install({ bundle.resolve(it).inputStream() }, storage)
            TestBundle.write(bundle, seed = 9)
            val found =
                QsrBundle.install({
                    if (it == "d3.tflite") QsrBundle.removeOthers(storage, emptyList())
                    bundle.resolve(it).inputStream()
                }, storage)
            assertFalse(old.root.exists())
            QsrBundle.open(found.root)
            storage.resolve(".old.tmp").apply { mkdirs() }.setLastModified(System.currentTimeMillis() - 3_600_000)
            QsrBundle.removeOthers(storage, listOf(found))
            assertEquals(listOf(found.root), storage.listFiles()!!.toList())
        }

    @Test
    fun zipsAreInstalledFromFilesAndStreams() =
        inTemporaryFolder { folder ->
            val files = contents(TestBundle.write(folder.resolve("bundle")))
            for (stored in listOf(true, false)) {
                val file = zip(folder.resolve("$stored.zip"), files + ("more/note.txt" to ByteArray(9)), stored)
                val one = QsrBundle.installZip(file, folder.resolve("a$stored"))
                val other = file.inputStream().use { QsrBundle.installZip(it, folder.resolve("b$stored")) }
                assertEquals(one.root.name, other.root.name)
                // Only what the manifest lists.
                assertEquals(setOf(".verified") + files.map { it.first }, one.root.list()!!.toSet())
                assertEquals(listOf(other.root), folder.resolve("b$stored").listFiles()!!.toList())
            }
        }

    @Test
    fun assetsHoldFoldersOrZips() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("assets/qsr"))
            zip(folder.resolve("assets/qsr.zip"), contents(bundle))
            folder.resolve("assets/broken.zip").writeText("PK")
            val assets = BundleSource { folder.resolve("assets/$it").inputStream() }
            val storage = folder.resolve("storage")
            val found = listOf("qsr", "qsr.zip").map { QsrBundle.installFrom(assets, it, storage).root }
            assertEquals(storage.listFiles()!!.toList(), found.distinct())
            for (name in listOf("none", "none.zip", "broken.zip")) {
                assertThrows(BundleException::class.java) { QsrBundle.installFrom(assets, name, storage) }
            }
        }

    @Test
    fun harmfulZipsAreRefused() =
        inTemporaryFolder { folder ->
            val files = contents(TestBundle.write(folder.resolve("bundle")))
            val storage = folder.resolve("storage")

            fun refused(
                why: String,
                file: File,
            ) {
                val error = assertThrows(why, BundleException::class.java) { QsrBundle.installZip(file, storage) }
                assertTrue("${error.message}", error.message!!.contains(why))
            }
            for (name in listOf("../evil", "/evil", "a/../../evil", "a\\evil", "evil\u0007")) {
                refused("leave the bundle", zip(folder.resolve("z.zip"), files + (name to ByteArray(1))))
            }
            refused("twice", zip(folder.resolve("z.zip"), files + ("D1.TFLITE" to ByteArray(1))))
            refused("missing", zip(folder.resolve("z.zip"), files.filter { it.first != "d3.tflite" }))
            refused("manifest.json", zip(folder.resolve("z.zip"), files.filter { it.first != "manifest.json" }))
            val larger = files.map { (name, content) -> name to if (name == "d1.tflite") content + 1 else content }
            refused("more bytes", zip(folder.resolve("z.zip"), larger))
            refused("members", zip(folder.resolve("z.zip"), files + List(2001) { "m$it" to ByteArray(0) }))
            refused("not a .zip", folder.resolve("z.zip").apply { writeText("PK") })
            val good = zip(folder.resolve("g.zip"), files).readBytes()
            val bad = folder.resolve("z.zip")
            // Byte 8 of a directory entry holds the flags, 10 the method, 24 the size.
            val entry = good.indices.first { String(good, it, 4, Charsets.ISO_8859_1) == "PK\u0001\u0002" }

            fun with(
                at: Int,
                vararg values: Int,
            ) = bad.apply {
                writeBytes(
                    good.copyOf().also { for ((i, v) in values.withIndex()) it[at + i] = v.toByte() },
                )
            }
            refused("encrypted", with(entry + 8, 9))
            refused("encrypted", with(entry + 10, 12))
            refused("unpacks to", with(entry + 24, 0, 0, 0, 0x20))
            refused("unusual", bad.apply { writeBytes(byteArrayOf(1, 2, 3) + good) })
            bad.writeBytes(good.copyOf(good.size - 1))
            refused("not a .zip", bad)
            assertFalse(folder.resolve("evil").exists())
        }

    @Test
    fun damagedZipsNeverInstallAnythingElse() =
        inTemporaryFolder { folder ->
            val files = contents(TestBundle.write(folder.resolve("bundle")))
            val random = Random(6)
            val whole = listOf(true, false).map { zip(folder.resolve("w.zip"), files, it).readBytes() }
            val expected = QsrBundle.installZip(folder.resolve("w.zip"), folder.resolve("good")).root
            var refused = 0
            repeat(1500) { round ->
                val damaged = whole[round % 2].copyOf()
                repeat(1 + random.nextInt(3)) { damaged[random.nextInt(damaged.size)] = random.nextInt(256).toByte() }
                val cut = if (random.nextInt(5) == 0) random.nextInt(damaged.size) else damaged.size
                val storage = folder.resolve("s$round")
                try {
                    val found = QsrBundle.installZip(damaged.copyOf(cut).inputStream(), storage)
                    for (file in expected.listFiles()!!) {
                        assertArrayEquals(file.readBytes(), found.root.resolve(file.name).readBytes())
                    }
                } catch (_: BundleException) {
                    refused++
                    assertEquals(emptyList<File>(), storage.listFiles()!!.toList())
                }
            }
            println("damaged zips: $refused of 1500 refused, the others gave the same files")
            assertTrue(refused > 1000)
        }
}
