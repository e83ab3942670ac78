package io.qsredge.standin

import android.app.Activity
import android.content.Intent
import android.net.Uri
import android.view.ViewGroup
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import io.qsredge.core.PATIENCE_S
import io.qsredge.core.TestBundle
import io.qsredge.sample.MainActivity
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.awt.image.BufferedImage
import java.io.ByteArrayOutputStream
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import javax.imageio.ImageIO

/** The sample app. */
class SampleTest {
    private val photo = Uri.parse("content://photos/1")

    private fun png(
        width: Int,
        height: Int,
    ): ByteArray {
        val picture = BufferedImage(width, height, BufferedImage.TYPE_INT_RGB)
        for (y in 0 until height) for (x in 0 until width) picture.setRGB(x, y, x * 37 + y * 1033)
        return ByteArrayOutputStream().also { ImageIO.write(picture, "png", it) }.toByteArray()
    }

    private fun withSample(
        ship: Boolean = true,
        test: (Phone, MainActivity, TextView, ImageView) -> Unit,
    ) = withPhone(manifest = sampleManifest) { phone, engine, folder ->
        if (ship) phone.ship(TestBundle.write(folder.resolve("bundle")), "qsr")
        val activity = phone.launch(MainActivity::class.java, Intent("main"))
        val views = (activity.content() as ViewGroup).children
        assertEquals(
            listOf(Button::class.java, TextView::class.java, ImageView::class.java),
            views.map { it.javaClass },
        )
        phone.onMain { views[0].performClick() }
        val asked = phone.asked.single()
        assertEquals(Intent.ACTION_OPEN_DOCUMENT to "image/*", asked.action to asked.type)
        assertEquals(setOf(Intent.CATEGORY_OPENABLE), asked.categories)
        test(phone, activity, views[1] as TextView, views[2] as ImageView)
        phone.destroy(activity)
        // Sensors and models are let go.
        waitFor("the listener's end") { phone.power.listening() == 0 }
        waitFor("the models' end") { engine.opened.size == engine.closed.size }
        assertEquals(emptyList<String>(), phone.crashes.toList())
    }

    private fun pick(
        activity: MainActivity,
        uri: Uri = photo,
    ) = activity.performResult(1, Activity.RESULT_OK, Intent("picked").setData(uri))

    @Test
    fun aPickedPhotoIsShownUpscaled() =
        withSample { phone, activity, status, picture ->
            phone.resolver.put(photo, png(20, 15))
            // Nothing was picked.
            activity.performResult(1, Activity.RESULT_CANCELED, null)
            activity.performResult(1, Activity.RESULT_OK, null)
            pick(activity)
            waitFor("the picture") { status.shown.lastOrNull()?.startsWith("40x30, depth ") == true }
            assertEquals(listOf(40, 30), listOf(picture.bitmap().width, picture.bitmap().height))
            assertTrue(status.shown.any { it.startsWith("tile 1 of ") })
            // The next photo goes through the upscaler that is there.
            phone.resolver.put(photo, png(8, 8))
            pick(activity)
            waitFor("the next picture") { status.shown.last().startsWith("16x16, depth ") }
        }

    @Test
    fun whatIsNoPhotoIsSaid() =
        withSample { phone, activity, status, picture ->
            phone.resolver.put(photo, "no picture".toByteArray())
            pick(activity)
            waitFor("the word") { status.shown.lastOrNull() == "this is no picture that Android can read" }
            pick(activity, Uri.parse("content://gone"))
            waitFor("the error") { status.shown.last().startsWith("the photo cannot be read (No content provider") }
            phone.resolver.crash(Uri.parse("content://crashed"))
            pick(activity, Uri.parse("content://crashed"))
            waitFor("the word") { status.shown.count { it == "this is no picture that Android can read" } == 2 }
            phone.resolver.put(photo, png(3000, 2100))
            pick(activity)
            waitFor("the refusal") { status.shown.last() == "too large" }
            assertEquals(null, picture.bitmap())
        }

    @Test
    fun aDeviceThatPicksNoPhotosSaysSo() =
        withSample { phone, activity, status, _ ->
            phone.picksDocuments = false
            phone.onMain { (activity.content() as ViewGroup).children[0].performClick() }
            assertEquals("there is no app here that picks photos", status.shown.last())
            assertEquals(1, phone.asked.size)
        }

    @Test
    fun anAppWithoutABundleSaysSo() =
        withSample(ship = false) { phone, activity, status, _ ->
            phone.resolver.put(photo, png(8, 8))
            pick(activity)
            waitFor("the error") { status.shown.lastOrNull()?.contains("manifest") == true }
        }

    @Test
    fun anotherPhotoEndsTheFirst() =
        withSample { phone, activity, status, _ ->
            phone.resolver.put(photo, png(700, 500))
            val second = CountDownLatch(1)
            (Engine.USED[0] as TestEngine).beforeRun = {
                phone.settle()
                if (status.shown.any { it.startsWith("tile 1 of ") }) {
                    check(second.await(PATIENCE_S, TimeUnit.SECONDS))
                }
            }
            pick(activity)
            waitFor("the first tile") { status.shown.any { it.startsWith("tile 1 of ") } }
            phone.resolver.put(photo, png(8, 8))
            pick(activity)
            second.countDown()
            waitFor("the second photo") { status.shown.last().startsWith("16x16, depth ") }
            assertTrue(status.shown.none { it.startsWith("1400x1000") })
        }
}
