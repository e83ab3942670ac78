package io.qsredge.standin

import android.app.Activity
import android.content.Intent
import android.graphics.Canvas
import android.os.BatteryManager
import android.os.Bundle
import android.view.View
import android.view.WindowManager
import io.qsredge.bench.BenchActivity
import io.qsredge.bench.BenchInstrumentation
import io.qsredge.bench.core.Records
import io.qsredge.core.Golden
import io.qsredge.core.GoldenInput
import io.qsredge.core.Json
import io.qsredge.core.Size
import io.qsredge.core.TestBundle
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import java.io.File
import java.util.UUID

/** The benchmark app: its activity, service, screen and instrumentation. */
class BenchAppTest {
    /** A job of two variants and a picture; where the shell of adb would push it. */
    private fun withJob(
        folder: File,
        phone: Phone,
        test: (job: File, results: File) -> Unit,
    ) {
        val jobs = File("/data/local/tmp/qsr-edge")
        val own = jobs.resolve("stand-in-${UUID.randomUUID()}")
        val made = generateSequence(own) { it.parentFile }.takeWhile { !it.exists() }.toList()
        // Jobs lie in one place alone, which only an administrator may make on a desktop.
        assumeTrue("$own cannot be made; run as root", own.mkdirs())
        try {
            val bundle = TestBundle.write(folder.resolve("bundle"))
            val picture = own.resolve("a.rgb").apply { writeBytes(Golden.image(GoldenInput(1, Size(5, 6)))) }
            val results = phone.externalFilesDir!!.resolve("results-1.jsonl")
            val variants =
                listOf(1, 3).joinToString {
                    """{"label": "d$it", "bundle": "$bundle", "depth": $it, "kernels": "xnnpack", "threads": 1,
                    "height_px": 5, "width_px": 6, "check_golden": true}"""
                }
            val job = own.resolve("job-1.json")
            job.writeText(
                """{"protocol": 1, "run": "r", "part": 1, "results": "$results", "queries": 5, "steady_ms": 1,
                "round_ms": 1, "warm_up_ms": 1, "sustained_ms": 0, "outputs": "${phone.externalFilesDir}/outputs",
                "images": [{"name": "a", "path": "$picture", "height_px": 5, "width_px": 6}],
                "variants": [$variants]}""",
            )
            test(job, results)
        } finally {
            own.deleteRecursively()
            // Those that were there before stay, and so do those that hold something else by now.
            made.forEach { it.delete() }
        }
    }

    private fun Phone.charge() {
        batteryBroadcast =
            Intent(Intent.ACTION_BATTERY_CHANGED)
                .putExtra("temperature", 312)
                .putExtra("voltage", 4100)
                .putExtra("plugged", 0)
        battery.properties[BatteryManager.BATTERY_PROPERTY_CAPACITY] = 55
        battery.properties[BatteryManager.BATTERY_PROPERTY_CURRENT_NOW] = -350_000
        power.heat(1)
    }

    private fun drawn(
        phone: Phone,
        view: View,
    ): List<String> = Canvas().also { canvas -> phone.onMain { view.draw(canvas) } }.drawn

    @Test
    fun aJobIsMeasuredShownAndHeld() {
        for (sdk in listOf(26, 30, 36)) {
            withPhone(sdk) { phone, engine, folder ->
                withJob(folder, phone) { job, results ->
                    phone.charge()
                    val activity =
                        phone.launch(BenchActivity::class.java, Intent("main").putExtra("job", job.path))
                    waitFor("the part's end") { results.isFile && "\"end\"" in results.readText() }
                    waitFor("the lock's release") { phone.power.lastLock?.isHeld == false }
                    val records = Records(results)
                    assertEquals(Json.Bool(true), records.all.last()["complete"])
                    assertEquals(listOf(true, true), records.of("start").map { it["golden_equal"] == Json.Bool(true) })
                    val condition = records.of("condition").first()["condition"] as Json.Object
                    assertEquals(31_200, records.number(condition, "battery_temperature_mc"))
                    assertEquals(-350_000, records.number(condition, "current_ua"))
                    assertEquals(55, records.number(condition, "battery_percent"))
                    assertEquals(Json.Bool(false), condition["plugged_in"])
                    assertEquals(sdk >= 29, condition["thermal_status"] != null)
                    assertTrue(phone.power.lastLock.timeoutMs() >= 24L * 3600 * 1000)
                    assertTrue(engine.opened.size >= 2 && engine.opened.all { it.second == "xnnpack" })
                    // The service is gone with the part, and nothing that it did would have ended the app.
                    waitFor("the service's end") {
                        phone.settle()
                        phone.foregroundServices.isEmpty()
                    }
                    assertEquals(emptyList<String>(), phone.crashes.toList())
                    val flag = WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
                    assertNotEquals(0, activity.window.flags() and flag)
                    val view = activity.content()
                    view.layout(0, 0, 600, 800)
                    waitFor("the outcome on the screen") { drawn(phone, view).any { it.startsWith("text done at 36") } }
                    val canvas = drawn(phone, view)
                    assertTrue(
                        "$canvas",
                        canvas.any { Regex("text d[13]: depth [13], xnnpack, 1 threads, 6x5 .*").matches(it) },
                    )
                    assertTrue("$canvas", canvas.any { it.startsWith("lines ") })
                    // From Android 15 on the system's bar covers the screen's top.
                    val top = 48 + (if (sdk >= 35) View.STATUS_BAR_PX else 0)
                    val below = 6 * 48 + 200 + 48 + top
                    val pictures = listOf("6x5 to 300x250 at 0.0,$below.0", "12x10 to 300x250 at 300.0,$below.0")
                    assertEquals(
                        pictures,
                        canvas.filter { it.startsWith("bitmap ") }.map { it.removePrefix("bitmap ") },
                    )
                    assertEquals(500, view.nextMs())
                }
            }
        }
    }

    @Test
    fun whatBefallsTheAppIsAnEventOfItsPart() =
        withPhone { phone, _, folder ->
            withJob(folder, phone) { job, results ->
                phone.charge()
                // A hot phone waits: until then everything can happen.
                phone.power.heat(6)
                val text = job.readText()
                job.writeText(
                    text.replaceFirst("{", """{"gate": {"max_thermal_status": 5, "max_wait_ms": 3600000}, """),
                )
                val activity = phone.launch(BenchActivity::class.java, Intent("main"))
                activity.performNewIntent(Intent("main").putExtra("job", job.path))
                waitFor("the wait") { results.isFile && "\"waiting\"" in results.readText() }
                phone.settle()
                assertEquals(1, phone.foregroundServices.size)
                assertEquals(
                    "Measuring",
                    phone.foregroundServices.values
                        .single()
                        .channelId,
                )
                phone.pause(activity)
                phone.resume(activity)
                activity.performTrimMemory(20)
                activity.performTrimMemory(15)
                // Made anew, it does not begin the job a second time.
                val again = phone.recreate(BenchActivity::class.java, activity)
                phone.power.heat(0)
                waitFor("the part's end") { "\"end\"" in results.readText() }
                val events = Records(results).of("event").map { Records(results).text(it, "event") }
                assertEquals(
                    listOf("paused", "resumed", "low-memory", "paused", "resumed"),
                    events.filter {
                        it !=
                            "thermal"
                    },
                )
                assertTrue("thermal" in events)
                assertEquals(1, Records(results).of("agent").size)
                waitFor("the lock's release") { !phone.power.lastLock.isHeld }
                phone.destroy(again)
            }
        }

    @Test
    fun aServiceThatAndroidRefusesDoesNotKeepThePart() =
        withPhone(
            manifest =
                benchManifest.apply {
                    permissions -= "android.permission.FOREGROUND_SERVICE"
                },
        ) { phone, _, folder ->
            withJob(folder, phone) { job, results ->
                phone.launch(BenchActivity::class.java, Intent("main").putExtra("job", job.path))
                waitFor("the part's end") { results.isFile && "\"end\"" in results.readText() }
                waitFor("the lock's release") { phone.power.lastLock?.isHeld == false }
                assertEquals(Json.Bool(true), Records(results).all.last()["complete"])
                // No battery told anything, and nothing is made up for it.
                val condition = Records(results).of("condition").first()["condition"] as Json.Object
                assertEquals(listOf(null, null), listOf("battery_temperature_mc", "current_ua").map { condition[it] })
                phone.settle()
                assertEquals(emptyList<String>(), phone.crashes.toList())
                assertTrue(phone.foregroundServices.isEmpty())
            }
        }

    private fun instrument(
        phone: Phone,
        job: String?,
    ): Pair<Int, String?> {
        val instrumentation = BenchInstrumentation()
        val arguments = Bundle().apply { job?.let { putString("job", it) } }
        val code = instrumentation.performRun(phone, arguments)
        return code to instrumentation.results().getString("message")
    }

    @Test
    fun theInstrumentationMeasuresWithoutAScreen() =
        withPhone { phone, _, folder ->
            withJob(folder, phone) { job, results ->
                assertEquals(Activity.RESULT_OK to "done", instrument(phone, job.path))
                assertEquals(Json.Bool(true), Records(results).all.last()["complete"])
            }
        }

    @Test
    fun aJobFromElsewhereIsRefusedWhoeverBringsIt() =
        withPhone { phone, engine, folder ->
            val elsewhere = folder.resolve("job-1.json").apply { writeText("{}") }
            val refusal = "$elsewhere: no job of qsr-edge, which lie below /data/local/tmp/qsr-edge"
            assertEquals(1 to "ended: $refusal", instrument(phone, elsewhere.path))
            assertEquals(1 to "no job; give one with -e job PATH", instrument(phone, null))
            // Without shared storage there is one place fewer for results, and the app does not fall over it.
            phone.externalFilesDir = null
            assertEquals(1 to "ended: $refusal", instrument(phone, elsewhere.path))
            val activity = phone.launch(BenchActivity::class.java, Intent("main").putExtra("job", elsewhere.path))
            activity.content().layout(0, 0, 600, 800)
            waitFor("the refusal") { drawn(phone, activity.content()).any { it.startsWith("text ended: $refusal") } }
            assertEquals(0, engine.opened.size)
            assertFalse(phone.power.lastLock.isHeld)
        }
}
