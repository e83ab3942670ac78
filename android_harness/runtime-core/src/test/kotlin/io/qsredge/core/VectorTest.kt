package io.qsredge.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import java.util.Base64

/** Agreement with the Python reference on every vector of `tests/vectors`. */
class VectorTest {
    private val folder = File(requireNotNull(System.getProperty("qsr.vectors")) { "set -Dqsr.vectors=tests/vectors" })

    private fun lines(file: File): List<String> = file.readText().removeSuffix("\n").split("\n")

    private fun list(json: Json): List<Json> = (json as Json.Array).values

    private fun int(json: Json): Int = (json as Json.Number).value.intValueExact()

    private fun text(json: Json): String = (json as Json.Text).value

    @Test
    fun everyDecisionIsTheReferences() {
        var samples = 0
        var restarts = 0
        for (file in folder.resolve("selector").listFiles()!!.sorted()) {
            val lines = lines(file)
            val header = Json.parse(lines[0]) as Json.Object
            val selector = Selector(Records.policy(header["policy"]!!), Records.latencyTable(header["table"]!!))
            var state: State? = null
            for ((number, line) in lines.withIndex().drop(1)) {
                val entry = Json.parse(line)
                if (entry is Json.Text) {
                    restarts++
                    state = StateJson.read(StateJson.write(state!!))
                    continue
                }
                val (sample, expected, reasons) = list(entry)
                val decision = selector.step(state, Records.sample(sample))
                val where = "${file.name}:${number + 1}"
                assertEquals(where, Records.state(expected), decision.state)
                assertEquals(where, list(reasons).map(::text), decision.reasons)
                state = decision.state
                samples++
            }
        }
        println("selector: $samples samples, $restarts restarts, 0 disagreements")
        assertTrue("only $samples samples", samples >= 10_000)
        assertTrue("only $restarts restarts", restarts >= 100)
    }

    @Test
    fun everyTrackedRatioIsTheReferences() {
        val lines = lines(folder.resolve("tracker.jsonl"))
        val table = Records.latencyTable((Json.parse(lines[0]) as Json.Object)["table"]!!)
        var tracker = LatencyTracker()
        for (line in lines.drop(1)) {
            val (depth, pixels, latency, ratio) = list(Json.parse(line))
            tracker =
                tracker.observe(
                    table,
                    int(depth),
                    (pixels as Json.Number).value.toLong(),
                    (latency as Json.Number).value.toLong(),
                )
            assertEquals(line, if (ratio is Json.Null) null else int(ratio), tracker.ratioMilli)
        }
        println("tracker: ${lines.size - 1} observations, 0 disagreements")
        assertTrue(lines.size > 1000)
    }

    @Test
    fun everyTileIsTheReferences() {
        val lines = lines(folder.resolve("tiles.jsonl"))
        var tiles = 0
        for (line in lines) {
            val entry = list(Json.parse(line))
            val (size, window) =
                listOf(entry[0], entry[4]).map { pair ->
                    list(pair).map(::int).let { Size(it[0], it[1]) }
                }
            val (tile, halo, grid) = listOf(entry[1], entry[2], entry[3]).map(::int)
            assertEquals(
                line,
                window,
                Size(
                    TilePlanner.windowSize(size.heightPx, tile, halo, grid),
                    TilePlanner.windowSize(size.widthPx, tile, halo, grid),
                ),
            )
            val (rows, columns) =
                listOf(entry[5], entry[6]).map { axis ->
                    list(axis).map { span -> list(span).map(::int).let { Span(it[0], it[1], it[2], it[3]) } }
                }
            val expected = rows.flatMap { row -> columns.map { Tile(row, it) } }
            assertEquals(line, expected, TilePlanner.tiles(size, window, halo, grid))
            tiles += expected.size
        }
        println("tiles: ${lines.size} images, $tiles tiles, 0 disagreements")
        assertEquals(1000, lines.size)
    }

    @Test
    fun everyManifestIsJudgedAsByTheReference() {
        val lines = lines(folder.resolve("manifests.jsonl"))
        val accepted =
            lines.count { line ->
                val entry = Json.parse(line) as Json.Object
                val content =
                    entry["text"]?.let { text(it).toByteArray() } ?: Base64.getDecoder().decode(text(entry["base64"]!!))
                val error =
                    try {
                        Manifest.parse(content)
                        null
                    } catch (error: BundleException) {
                        error.message
                    }
                assertEquals("${text(entry["why"]!!)}: $error", (entry["accept"] as Json.Bool).value, error == null)
                error == null
            }
        val whole = Manifest.parse(text((Json.parse(lines[0]) as Json.Object)["text"]!!).toByteArray())
        assertEquals(listOf(TileGrid(8, 12), null), whole.depths.map { it.grid })
        println("manifests: ${lines.size}, $accepted accepted, 0 disagreements")
        assertTrue(lines.size >= 200)
    }
}
