package io.qsredge.bench.core

import io.qsredge.core.Json
import io.qsredge.core.Sample
import io.qsredge.core.Size
import io.qsredge.core.TestBackend
import io.qsredge.core.TestBundle
import io.qsredge.core.inTemporaryFolder
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import kotlin.concurrent.thread

/** What stands around the procedure: its host, where jobs may come from, records as JSON, the phone's files, the screen. */
class AgentHostTest {
    @Test
    fun recordsAreJson() {
        val odd = "a\"\\\n\u0000é😀\ud800"
        val text =
            JsonText.write(
                mapOf(
                    "k" to odd,
                    "l" to listOf(1, -2L, true, null),
                    "m" to longArrayOf(3, 4),
                    "o" to mapOf<String, Any>(),
                ),
            )
        assertFalse('\n' in text)
        // A lone half of a pair is written as an escape, which a strict reader refuses.
        val parsed = Json.parse(text.replace("\\ud800", "")) as Json.Object
        assertEquals(Json.Text(odd.dropLast(1)), parsed["k"])
        assertEquals(text.substring(text.indexOf("\"l\"")), """"l":[1,-2,true,null],"m":[3,4],"o":{}}""")
        assertThrows(IllegalArgumentException::class.java) { JsonText.write(1.5) }
    }

    @Test
    fun systemFilesAreReadAsTheyAre() =
        inTemporaryFolder { root ->
            fun write(
                path: String,
                text: String,
            ) = root.resolve(path).apply { parentFile.mkdirs() }.writeText(text)
            val files = SystemFiles(root)
            assertEquals(
                listOf(null, null, null, null, null),
                listOf(files.cpuKhz(), files.temperatureMc(), files.loadMilli(), files.pluggedIn(), files.peakBytes()),
            )
            for (core in 0..11) write("sys/devices/system/cpu/cpu$core/cpufreq/scaling_cur_freq", "${1000 + core}\n")
            write("sys/devices/system/cpu/cpufreq/boost", "1")
            assertEquals(List(12) { 1000 + it }, files.cpuKhz())
            write("sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq", "?")
            assertNull(files.cpuKhz())
            write("sys/class/thermal/thermal_zone0/temp", "31000\n")
            write("sys/class/thermal/thermal_zone1/temp", "45500\n")
            write("sys/class/thermal/thermal_zone2/temp", "")
            assertEquals(45_500, files.temperatureMc())
            write("proc/loadavg", "1.25 0.8 0.7 1/200 3\n")
            assertEquals(1250, files.loadMilli())
            write("sys/class/power_supply/AC/online", "1\n")
            assertEquals(true, files.pluggedIn())
            write("proc/7/status", "Name:\tx\nVmHWM:\t    2048 kB\n")
            assertEquals(2_097_152L, files.peakBytes("7"))
            assertTrue(SystemFiles().peakBytes()!! > 10_000_000)
        }

    @Test
    fun aHostRunsOnePartAfterTheOther() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val host = AgentHost("test 1")
            host.event("paused")
            val threads =
                (1..3).map { part ->
                    val job = job(folder, listOf(variant("x", bundle, 1)), part)
                    thread {
                        host.measure(
                            job,
                            TestBackend(),
                            SimulatedDevice { Condition().also { host.event("resumed") } },
                        )
                    }
                }
            threads.forEach { it.join() }
            for (part in 1..3) {
                val records = Records(folder.resolve("out/results-$part.jsonl"))
                assertEquals(Json.Bool(true), records.all.last()["complete"])
                assertEquals(records.of("condition").size, records.of("event").size)
            }
            assertEquals("done", host.screen.state().lines[0])
        }

    @Test
    fun onlyLowMemoryIsToldAsThat() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val host = AgentHost("test 1")
            // Hidden, moderate, critical, in the background, complete: the first and fourth say where the app is.
            val levels = arrayListOf(20, 5, 15, 40, 80)
            val device =
                SimulatedDevice {
                    levels.forEach(host::trimMemory)
                    levels.clear()
                    Condition()
                }
            val outcome = host.measure(job(folder, listOf(variant("x", bundle, 1))), TestBackend(), device)
            assertTrue(outcome.complete)
            val records = Records(folder.resolve("out/results-1.jsonl"))
            assertEquals(List(3) { "low-memory" }, records.of("event").map { records.text(it, "event") })
        }

    @Test
    fun aJobFromElsewhereIsNotObeyed() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val job = job(folder, listOf(variant("x", bundle, 1)))

            fun run(
                jobs: File,
                results: File,
                file: File = job,
            ): Outcome {
                val places = JobPlaces(jobs.path, listOf(results.path))
                return BenchAgent("test 1", listOf(TestBackend()), SimulatedDevice(), null, places).run(file)
            }

            val out = folder.resolve("out")
            val elsewhere = folder.resolve("other")
            assertTrue(run(elsewhere, out).message!!.endsWith("no job of qsr-edge, which lie below $elsewhere"))
            assertFalse(run(elsewhere, out, elsewhere.resolve("../${job.name}")).complete)
            assertTrue(run(folder, elsewhere).message!!.endsWith("results may go below $elsewhere only"))
            assertFalse(out.exists())
            assertTrue(run(folder, out).complete)
            assertFalse(JobPlaces.ofApp("/own").refusalOfResults(listOf("/own/x", "/sdcard/Android/data/x")) == null)
        }

    @Test
    fun aPhonesConditionIsInTheProtocolsUnits() =
        inTemporaryFolder { root ->
            val sample =
                Sample(
                    5,
                    1,
                    batteryPercent = 70,
                    charging = true,
                    powerSave = false,
                    thermalStatus = 2,
                    headroomMilli = 800,
                )

            fun found(
                sample: Sample,
                battery: Map<String, Int>,
                currentUa: Int?,
            ) = PhoneDevice({ sample }, { battery::get }, { currentUa }, SystemFiles(root)).condition()
            val battery = mapOf("temperature" to 312, "voltage" to 4100, "plugged" to 2)
            val whole = Condition(2, 800, null, 31_200, 70, true, false, -350_000, 4100)
            assertEquals(whole, found(sample, battery, -350_000))
            val unknown = Int.MIN_VALUE
            assertEquals(Condition(), found(Sample(5, 1), mapOf("temperature" to unknown), unknown))
            assertEquals(false, found(Sample(5, 1), mapOf("plugged" to 0), null).pluggedIn)
        }

    @Test
    fun theScreenFollowsTheRecords() =
        inTemporaryFolder { folder ->
            val bundle = TestBundle.write(folder.resolve("bundle"))
            folder.resolve("a.rgb").writeBytes(ByteArray(2 * 3 * 3))
            val images = """{"name": "a", "path": "$folder/a.rgb", "height_px": 2, "width_px": 3}"""
            val screen = BenchScreen()
            assertEquals(1, screen.state().lines.size)
            val device =
                SimulatedDevice { Condition(thermalStatus = 1, batteryTemperatureMc = 31_250, batteryPercent = 80) }
            val agent = BenchAgent("test 1", listOf(TestBackend()), device, screen)
            screen.onOutcome(agent.run(job(folder, listOf(variant("x d3", bundle, 3)), images = images), screen::onJob))
            val state = screen.state()
            assertEquals("done", state.lines[0])
            assertEquals("x d3: depth 3, plain, 1 threads, 6x5", state.lines[1])
            assertTrue(state.lines[2].startsWith("median 0.10 ms of the last "))
            assertEquals("battery 31.3 °C, thermal status 1, 80 %", state.lines[3])
            assertEquals(RawPicture(folder.resolve("a.rgb"), Size(2, 3)), state.before)
            assertEquals(Size(4, 6), state.after!!.size)
            val bytes = state.after.file.readBytes()
            val pixels = state.after.read()!!.pixels
            assertEquals(
                List(24) { i -> (0..2).map { bytes[3 * i + it].toInt() and 0xFF } },
                pixels.map { pixel -> listOf(16, 8, 0).map { shift -> pixel shr shift and 0xFF } },
            )
            assertNull(RawPicture(state.after.file, Size(4, 7)).read())
            assertNull(RawPicture(folder.resolve("none"), Size(4, 6)).read())
            val large = folder.resolve("large")
            java.io.RandomAccessFile(large, "rw").use { it.setLength(3L * 4000 * 3001) }
            assertNull(RawPicture(large, Size(4000, 3001)).read())
            val lines = ScreenState(emptyList(), listOf(1f, 4f, 2f), null, null).chartLines(100, 40)
            assertArrayEquals(floatArrayOf(0f, 30f, 50f, 0f, 50f, 0f, 100f, 20f), lines, 1e-4f)
            assertEquals(0, ScreenState(emptyList(), listOf(1f), null, null).chartLines(100, 40).size)
            assertEquals(0, ScreenState(emptyList(), emptyList(), null, null).chartLines(100, 40).size)
        }
}
