package io.qsredge.bench.core

import io.qsredge.core.Backend
import io.qsredge.core.BackendException
import io.qsredge.core.Golden
import io.qsredge.core.Json
import io.qsredge.core.LoadedModel
import io.qsredge.core.ModelSpec
import io.qsredge.core.Size
import io.qsredge.core.TestBackend
import io.qsredge.core.TestBundle
import io.qsredge.core.guarded
import io.qsredge.core.inTemporaryFolder
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.IOException
import java.util.Random

/** The agent's procedure, as docs/device-protocol.md has it. */
class BenchTest {
    @Test
    fun aPartIsMeasuredInTheOrderOfTheProtocol() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val pixels = ByteArray(7 * 9 * 3).also { Random(1).nextBytes(it) }
            folder.resolve("a.rgb").writeBytes(pixels)
            val images = """{"name": "a", "path": "$folder/a.rgb", "height_px": 7, "width_px": 9}"""
            val backend = TestBackend()
            val outcome =
                run(
                    job(folder, listOf(variant("one", bundle, 1), variant("two", bundle, 3)), images = images),
                    backend = backend,
                )
            assertEquals(Outcome(true, null), outcome)
            val records = Records(folder.resolve("out/results-1.jsonl"))
            val expected =
                listOf(
                    "agent",
                    "start",
                    "warm-up",
                    "image",
                    "start",
                    "warm-up",
                    "image",
                    "condition",
                    "steady",
                    "steady",
                )
            assertEquals(expected, records.kinds.take(expected.size))
            assertEquals("end", records.kinds.last())
            assertEquals(Json.Bool(true), records.all.last()["complete"])
            for ((record, depth) in records.of("start").zip(listOf(1, 3))) {
                assertEquals(Json.Bool(true), record["golden_equal"])
                assertTrue(records.number(record, "load_us") > 0 && records.number(record, "first_us") > 0)
                val image = records.of("image")[if (depth == 1) 0 else 1]
                val output = folder.resolve("out/outputs/${records.text(image, "output")}").readBytes()
                assertArrayEquals(TestBundle.whole(bundle.resolve("d$depth.tflite"), depth, pixels, Size(7, 9)), output)
                assertEquals(Golden.sha256Of(output), records.text(image, "sha256"))
            }
            // Variants take turns, a condition before each round, until each has both its queries and its time.
            val steady = records.kinds.filter { it in setOf("condition", "steady") }
            assertEquals(List(steady.size) { listOf("condition", "steady", "steady")[it % 3] }, steady)
            for (label in listOf("one", "two")) {
                val turns =
                    records
                        .of(
                            "steady",
                        ).filter { records.text(it, "variant") == label }
                        .map { records.latencies(it) }
                assertTrue(turns.all { it.sum() >= 2000 })
                assertTrue(turns.sumOf { it.size } >= 30 && turns.sumOf { it.sum() } >= 6000)
                assertTrue(
                    turns.dropLast(1).let { done ->
                        done.sumOf { it.size } < 30 || done.sumOf { it.sum() } < 6000
                    },
                )
            }
            assertEquals(12_345L, records.number(records.of("steady")[0], "peak_bytes"))
            val elapsed = records.all.map { records.number(it, "elapsed_ms") }
            assertEquals(elapsed.sorted(), elapsed)
            assertTrue(backend.models.all { it.closed })
        }

    @Test
    fun aLaterPartMeasuresWhatIsLeft() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            folder.resolve("a.rgb").writeBytes(ByteArray(12))
            val images = """{"name": "a", "path": "$folder/a.rgb", "height_px": 2, "width_px": 2}"""

            fun done(
                queries: Int,
                us: Int,
                sustained: Int,
            ) = """, "done": {"queries": $queries, "steady_us": $us, "sustained_ms": $sustained, "images": ["a"]}"""
            val effort = """"queries": 30, "steady_ms": 6, "round_ms": 2, "warm_up_ms": 0, "sustained_ms": 100"""
            val variants =
                listOf(
                    variant("done", bundle, 1, done(30, 6000, 100)),
                    variant("steady", bundle, 1, done(29, 6000, 100)),
                    variant("sustained", bundle, 1, done(30, 6000, 60)),
                )
            assertTrue(run(job(folder, variants, part = 2, effort = effort, images = images)).complete)
            val records = Records(folder.resolve("out/results-2.jsonl"))
            assertEquals(listOf("steady", "sustained"), records.of("start").map { records.text(it, "variant") })
            assertEquals(emptyList<Json>(), records.of("image"))
            assertEquals(listOf("steady"), records.of("steady").map { records.text(it, "variant") })
            val sustained = records.of("sustained").single()
            assertTrue(records.number(sustained, "since_ms") >= 100)
            assertTrue(records.latencies(sustained).sum() in 5_000..40_000)
            // Nothing left: no model is loaded.
            val backend = TestBackend()
            assertTrue(
                run(job(folder, variants.take(1), 3, effort = effort, images = images), backend = backend).complete,
            )
            assertEquals(0, backend.loads.get())
        }

    @Test
    fun sustainedRecordsComeEveryFewSeconds() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val effort = """"queries": 1, "steady_ms": 0, "round_ms": 1, "warm_up_ms": 0, "sustained_ms": 24000"""
            val slow =
                object : AgentDevice by SimulatedDevice() {
                    var ns = 0L

                    override fun nanoTime(): Long {
                        ns += 50_000_000
                        return ns
                    }
                }
            assertTrue(run(job(folder, listOf(variant("one", bundle, 1)), effort = effort), slow).complete)
            val records = Records(folder.resolve("out/results-1.jsonl"))
            val since = records.of("sustained").map { records.number(it, "since_ms") }
            assertTrue(
                "$since",
                since.size == 5 && since.zipWithNext().all { (a, b) -> b - a in 1000..5500 } && since.last() >= 24_000,
            )
            val conditions = records.of("condition").filter { it["variant"] != null }
            assertEquals(4, conditions.size)
        }

    @Test
    fun aHotDeviceWaitsAndMayGiveUp() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))

            fun gate(wait: Int) =
                """, "gate": {"max_thermal_status": 1, "max_temperature_mc": 35000, "max_wait_ms": $wait}"""
            val cooling =
                SimulatedDevice { ms ->
                    Condition(
                        thermalStatus = if (ms < 12_000) 2 else 1,
                        temperatureMc = 90_000,
                        batteryTemperatureMc = if (ms < 18_000) 36_000 else 35_000,
                    )
                }
            assertTrue(run(job(folder, listOf(variant("one", bundle, 1)), 1, gate(60_000)), cooling).complete)
            val records = Records(folder.resolve("out/results-1.jsonl"))
            val reasons = records.of("waiting").map { records.text(it, "reason") }
            assertEquals(
                List(3) { "thermal status 2, expected at most 1" } + "36.0 degrees, expected at most 35.0",
                reasons,
            )
            assertTrue(records.number(records.of("start")[0], "elapsed_ms") >= 18_000)

            val backend = TestBackend()
            val hot = SimulatedDevice { Condition(temperatureMc = 35_001) }
            val outcome = run(job(folder, listOf(variant("one", bundle, 1)), 2, gate(7000)), hot, backend)
            assertFalse(outcome.complete)
            val refused = Records(folder.resolve("out/results-2.jsonl"))
            assertEquals(
                listOf("agent", "condition", "waiting", "condition", "waiting", "condition", "error", "end"),
                refused.kinds,
            )
            assertTrue(
                refused.text(refused.of("error")[0], "message").startsWith("35.0 degrees, expected at most 35.0"),
            )
            assertEquals(0, backend.loads.get())
            // What is not known keeps nobody.
            assertTrue(run(job(folder, listOf(variant("one", bundle, 1)), 3, gate(0))).complete)
        }

    @Test
    fun whatFailsEndsThePartAndIsTold() =
        inTemporaryFolder { folder ->
            val good = TestBundle.write(folder.resolve("good"))
            val damaged = TestBundle.write(folder.resolve("damaged"))
            damaged.resolve("d1.tflite").writeText("8\n")
            var part = 0

            fun failing(
                variant: String,
                backend: TestBackend = TestBackend(),
            ): String {
                part++
                val first = variant("first", good, 1)
                val outcome = run(job(folder, listOf(first, variant), part), backend = backend)
                assertFalse(outcome.complete)
                val records = Records(folder.resolve("out/results-$part.jsonl"))
                val error = records.of("error").single()
                assertEquals("second", records.text(error, "variant"))
                assertEquals("first", records.text(records.of("start")[0], "variant"))
                assertEquals(Json.Bool(false), records.all.last()["complete"])
                assertEquals(records.text(error, "message"), records.text(records.all.last(), "reason"))
                assertTrue(backend.models.all { it.closed })
                return records.text(error, "message")
            }
            assertTrue(failing(variant("second", damaged, 1)).contains("sha256"))
            assertTrue(failing(variant("second", folder.resolve("none"), 1)).contains("not a bundle"))
            assertTrue(failing(variant("second", good, 2)).contains("no depth 2"))
            val kernels = variant("second", good, 1).replace("plain", "gpu")
            assertEquals("test 1 has no kernels 'gpu', only plain", failing(kernels))
            val wrong = TestBundle.write(folder.resolve("wrong"), goldenSha256 = "0".repeat(64))
            part++
            assertTrue(run(job(folder, listOf(variant("second", wrong, 1)), part)).complete)
            val records = Records(folder.resolve("out/results-$part.jsonl"))
            assertEquals(Json.Bool(false), records.of("start")[0]["golden_equal"])
            val broken = TestBackend().apply { failure = BackendException("cannot be loaded") }
            part++
            assertEquals(
                "cannot be loaded",
                run(job(folder, listOf(variant("x", good, 1)), part), backend = broken).message,
            )
        }

    @Test
    fun aRuntimeThatIsNotThereIsTold() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val absent =
                object : Backend by TestBackend() {
                    override val runtime: String get() = throw UnsatisfiedLinkError("no library")

                    override fun load(spec: ModelSpec): LoadedModel =
                        guarded("LiteRT", spec) { throw UnsatisfiedLinkError("no library") }
                }
            val job = job(folder, listOf(variant("x", bundle, 1)))
            val outcome = BenchAgent("test 1", listOf(absent), SimulatedDevice()).run(job)
            assertTrue(outcome.message!!.contains("native library cannot be loaded"))
            val records = Records(folder.resolve("out/results-1.jsonl"))
            assertEquals(listOf("agent", "error", "end"), records.kinds)
            assertTrue("no library" in records.text(records.all[0], "runtime"))
        }

    @Test
    fun missingPicturesAreTold() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val images = """{"name": "a", "path": "$folder/a.rgb", "height_px": 2, "width_px": 2}"""
            assertTrue(
                run(
                    job(folder, listOf(variant("x", bundle, 1)), images = images),
                ).message!!.contains("0 bytes, expected 12"),
            )
            folder.resolve("a.rgb").writeBytes(ByteArray(12))
            folder.resolve("out/outputs").writeText("in the way")
            val outcome = run(job(folder, listOf(variant("x", bundle, 1)), 2, images = images))
            assertTrue(outcome.message!!.contains("cannot be written"))
        }

    @Test
    fun jobsAreReadStrictly() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val image = """{"name": "a", "path": "/a", "height_px": 2, "width_px": 2}"""
            val gate = """, "gate": {"max_thermal_status": 1, "max_wait_ms": 5}"""
            val whole = job(folder, listOf(variant("x", bundle, 1)), 1, gate, images = image).readText()
            val read = Job.parse(whole.toByteArray())
            assertEquals(Gate(1, null, 5), read.gate)
            assertEquals(Done(), read.variants[0].done)
            val wrong =
                listOf(
                    """"run": "r"""" to """"run": "a/b"""",
                    """"part": 1""" to """"part": 0""",
                    """"part": 1""" to """"part": 1.5""",
                    """"part": 1""" to """"part": "1"""",
                    """"queries": 30""" to """"queries": 0""",
                    """"queries": 30, """ to "",
                    """"steady_ms": 6""" to """"steady_ms": -1""",
                    """"round_ms": 2""" to """"round_ms": 2, "more": 1""",
                    """"results": "/""" to """"results": """",
                    """"max_wait_ms": 5""" to """"max_wait_ms": 5, "x": 1""",
                    """"max_thermal_status": 1""" to """"max_thermal_status": 7""",
                    """"name": "a"""" to """"name": "../a"""",
                    """"name": "a"""" to """"name": ".a"""",
                    image to "$image, ${image.replace("\"a\"", "\"A\"")}",
                    """"label": "x"""" to """"label": """"",
                    """"depth": 1""" to """"depth": 0""",
                    """"check_golden": true""" to """"check_golden": 1""",
                    """"height_px": 5""" to """"height_px": 9000""",
                    """"variants": [""" to """"variants": [${variant("x", bundle, 1)},""",
                    """"variants"""" to """"Variants"""",
                )
            for ((old, new) in wrong) {
                assertTrue(old, old in whole)
                assertThrows(
                    "$old -> $new",
                    JobException::class.java,
                ) { Job.parse(whole.replaceFirst(old, new).toByteArray()) }
            }
            val random = Random(5)
            repeat(2000) {
                val damaged = whole.toByteArray()
                repeat(1 + random.nextInt(3)) { damaged[random.nextInt(damaged.size)] = random.nextInt(256).toByte() }
                try {
                    Job.parse(damaged.copyOf(1 + random.nextInt(damaged.size)))
                } catch (_: JobException) {
                    return@repeat
                }
            }
        }

    @Test
    fun anotherProtocolIsRefusedWithARecord() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val job = job(folder, listOf(variant("x", bundle, 1)))
            job.writeText(job.readText().replace("\"protocol\": 1", "\"protocol\": 2"))
            assertFalse(run(job).complete)
            val records = Records(folder.resolve("out/results-1.jsonl"))
            assertEquals(listOf("agent", "error", "end"), records.kinds)
            assertTrue(records.text(records.all[1], "message").startsWith("protocol 2, expected 1"))
            job.writeText("no job")
            assertTrue(run(job).message!!.contains("no JSON"))
            assertTrue(run(folder.resolve("none.json")).message!!.contains("cannot be read"))
        }

    @Test
    fun nothingIsOverwrittenAndEventsAreRecorded() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val job = job(folder, listOf(variant("x", bundle, 1)))
            var agent: BenchAgent? = null
            val screen = BenchScreen()
            val listener =
                RecordListener { kind, values ->
                    screen.onRecord(kind, values)
                    if (kind == "start") agent!!.event("thermal", "thermal_status" to 3)
                    if (kind == "steady") agent!!.stop("the user left")
                }
            agent = BenchAgent("test 1", listOf(TestBackend()), SimulatedDevice(), listener)
            val outcome = agent.run(job, screen::onJob)
            screen.onOutcome(outcome)
            assertEquals(Outcome(false, "the user left"), outcome)
            val file = folder.resolve("out/results-1.jsonl")
            val records = Records(file)
            assertEquals("thermal", records.text(records.of("event").single(), "event"))
            assertEquals(emptyList<Json>(), records.of("error"))
            assertEquals("the user left", records.text(records.all.last(), "reason"))
            agent.event("paused")
            val before = file.readBytes()
            assertTrue(run(job).message!!.contains("begun before"))
            assertArrayEquals(before, file.readBytes())
            assertEquals("ended: the user left", screen.state().lines[0])
        }

    @Test
    fun aResultThatCannotBeWrittenEndsThePart() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val job = job(folder, listOf(variant("x", bundle, 1)))
            // Linux's device that is always full.
            job.writeText(job.readText().replace("$folder/out/results-1.jsonl", "/dev/full"))
            val backend = TestBackend()
            val outcome = run(job, backend = backend)
            val remedy = "free some space on the device, then go on with --resume"
            assertEquals("/dev/full: cannot be written (No space left on device); $remedy", outcome.message)
            assertEquals(0, backend.loads.get())
            assertThrows(IOException::class.java) { ResultsFile(folder.resolve("job-1.json/x"), SimulatedDevice()) }
        }

    @Test
    fun aPluggedCableIsAnEvent() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            var looks = 0
            val device = SimulatedDevice { Condition(pluggedIn = if (++looks == 2) null else looks > 3) }
            assertTrue(run(job(folder, listOf(variant("one", bundle, 1))), device).complete)
            val kinds = Records(folder.resolve("out/results-1.jsonl")).kinds
            assertEquals(1, kinds.count { it == "event" })
            assertEquals(4, kinds.subList(0, kinds.indexOf("event")).count { it == "condition" })
        }
}
