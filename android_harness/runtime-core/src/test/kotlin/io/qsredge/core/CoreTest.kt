package io.qsredge.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.nio.ByteBuffer
import java.nio.file.Files
import java.util.Random

class CoreTest {
    private val vectors = File(requireNotNull(System.getProperty("qsr.vectors")) { "set -Dqsr.vectors=tests/vectors" })

    private fun wholeManifest(): ByteArray {
        val first = vectors.resolve("manifests.jsonl").useLines { it.first() }
        return ((Json.parse(first) as Json.Object)["text"] as Json.Text).value.toByteArray()
    }

    @Test
    fun pixelsBecomePlanesAndBack() {
        val interleaved = ByteBuffer.allocateDirect(12).put(byteArrayOf(1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3))
        val planes = ByteBuffer.allocateDirect(12)
        toPlanes(interleaved, planes, 4)
        assertEquals(ByteBuffer.wrap(byteArrayOf(1, 4, 7, -1, 2, 5, 8, -2, 3, 6, 9, -3)), planes)
        val again = ByteBuffer.allocateDirect(12)
        fromPlanes(planes, again, 4)
        interleaved.rewind()
        assertEquals(interleaved, again)
    }

    @Test
    fun jsonIsReadStrictly() {
        val whole = """ {"a": [1, -2.5e1, true, null, "\u00e9\n\ud83d\ude00"], "b": {}} """
        val parsed = Json.parse(whole) as Json.Object
        assertEquals(Json.Text("é\n😀"), (parsed["a"] as Json.Array).values[4])
        val wrong =
            listOf(
                "",
                "[1,]",
                "{\"a\":1,}",
                "01",
                "1.",
                ".5",
                "+1",
                "NaN",
                "-Infinity",
                "1e999",
                "'a'",
                "\"\t\"",
                "\"\\x\"",
                "\"\\ud800\"",
                "\"\\u12g4\"",
                "[1] 2",
                "{\"a\":1,\"a\":2}",
                "tru",
                "\uFEFF{}",
                "[".repeat(100_000),
            )
        for (text in wrong) assertThrows(text.take(20), JsonException::class.java) { Json.parse(text) }
        assertThrows(JsonException::class.java) { Json.parse(byteArrayOf(0x22, 0xE6.toByte(), 0x22)) }
    }

    @Test
    fun damagedManifestsGiveOneKindOfError() {
        val whole = wholeManifest()
        val random = Random(3)
        repeat(3000) {
            val damaged = whole.copyOf(if (random.nextInt(4) == 0) random.nextInt(whole.size) else whole.size)
            if (damaged.isEmpty()) return@repeat
            repeat(1 + random.nextInt(3)) { damaged[random.nextInt(damaged.size)] = random.nextInt(256).toByte() }
            if (damaged.contentEquals(whole)) return@repeat
            assertThrows(BundleException::class.java) { Manifest.parse(damaged) }
        }
    }

    @Test
    fun aManifestIsReadWhole() {
        val manifest = Manifest.parse(wholeManifest())
        assertEquals(listOf(2, 4), manifest.depths.map { it.depth })
        assertEquals(Size(48, 64), manifest.inputSize)
        assertEquals(
            36.79,
            manifest.depths[0]
                .quality
                .single()
                .psnrDb,
            0.0,
        )
        assertTrue(manifest.byteExact)
        assertEquals(2, Selector(manifest.selector!!, manifest.latency!!).step(null, Sample(0, 57_600)).state.depth)
    }

    @Test
    fun filesAreVerified() {
        val folder = Files.createTempDirectory("bundle").toFile()
        try {
            val content = "model".toByteArray()
            val manifest =
                Manifest
                    .parse(
                        wholeManifest(),
                    ).copy(files = listOf(FileEntry("a/b.bin", sha256(content), 5)))
            assertThrows(BundleException::class.java) { manifest.verifyFiles(folder) }
            val file = folder.resolve("a/b.bin").apply { parentFile.mkdirs() }
            for (wrong in listOf("mode", "models", "Model")) {
                file.writeText(wrong)
                assertThrows(wrong, BundleException::class.java) { manifest.verifyFiles(folder) }
            }
            file.writeBytes(content)
            manifest.verifyFiles(folder)
            file.delete()
            val outside = Files.createTempFile("outside", ".bin").toFile().apply { writeBytes(content) }
            Files.createSymbolicLink(file.toPath(), outside.toPath())
            val error = assertThrows(BundleException::class.java) { manifest.verifyFiles(folder) }
            assertTrue(error.message!!.contains("leaves the bundle"))
            outside.delete()
        } finally {
            folder.deleteRecursively()
        }
    }

    @Test
    fun theGoldenImageIsTheReferences() {
        // SplitMix64 from seed 0 begins 0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F (Steele et al., 2014).
        assertEquals(listOf(0xE2, 0x6E, 0x06), Golden.image(GoldenInput(0, Size(1, 1))).map { it.toInt() and 0xFF })
        assertEquals(64, Golden.sha256Of(ByteArray(0)).length)
    }

    @Test
    fun impossibleTilesAreRefused() {
        assertThrows(TileException::class.java) { TilePlanner.windowSize(0, 1, 1) }
        assertThrows(TileException::class.java) { TilePlanner.spans(10, 20, 1) }
        assertThrows(TileException::class.java) { TilePlanner.spans(100, 20, 10) }
    }

    @Test
    fun whatNoPolicyCanBeIsRefused() {
        val rule = Rule("hot", 2, false, thermalStatusAtLeast = 3)
        assertThrows(PolicyException::class.java) { rule.copy(name = "latency") }
        assertThrows(PolicyException::class.java) { rule.copy(thermalStatusAtLeast = null) }
        assertThrows(PolicyException::class.java) { Policy(2, 0, 0, 0, 0, 0, listOf(rule, rule)) }
        assertThrows(PolicyException::class.java) { LatencyTable("x", listOf(LatencyEntry(4, 1), LatencyEntry(2, 2))) }
        assertThrows(PolicyException::class.java) { Sample(0, 0) }
        val table = LatencyTable("x", listOf(LatencyEntry(2, 1), LatencyEntry(4, 2)))
        assertThrows(PolicyException::class.java) { Selector(Policy(8, 0, 0, 0, 0, 0, emptyList()), table) }
        val selector = Selector(Policy(2, 0, 0, 0, 0, 0, listOf(rule)), table)
        assertThrows(PolicyException::class.java) { selector.step(State(3, 0), Sample(0, 1)) }
        assertThrows(PolicyException::class.java) { StateJson.read("{}") }
        assertThrows(PolicyException::class.java) { StateJson.read("nonsense") }
    }

    @Test
    fun sensorsThatTellNothingAreUnknown() {
        assertNull(SensorValues.headroomMilli(Float.NaN))
        assertNull(SensorValues.headroomMilli(Float.POSITIVE_INFINITY))
        assertEquals(0, SensorValues.headroomMilli(-0.2f))
        assertEquals(873, SensorValues.headroomMilli(0.873f))
        assertEquals(10_000, SensorValues.headroomMilli(50f))
        assertNull(SensorValues.batteryPercent(Int.MIN_VALUE))
        assertEquals(100, SensorValues.batteryPercent(100))
        assertNull(SensorValues.thermalStatus(-1))
        assertEquals(6, SensorValues.thermalStatus(6))
    }

    @Test
    fun headroomIsAskedOnceASecondAndKeptForTen() {
        val answers = ArrayDeque(listOf(0.5f, Float.NaN, 0.7f))
        var asked = 0
        val reader =
            HeadroomReader {
                asked++
                answers.removeFirstOrNull() ?: Float.NaN
            }
        assertEquals(listOf(500, 500, 500, 700), listOf(0L, 999L, 1000L, 2000L).map(reader::read))
        assertEquals(3, asked)
        assertEquals(700, reader.read(12_000))
        assertNull(reader.read(12_001))
        assertFalse(asked > 4)
    }
}
