package io.qsredge.sample

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.graphics.BitmapFactory
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView
import io.qsredge.android.DeviceSensors
import io.qsredge.android.installFromAssets
import io.qsredge.android.upscale
import io.qsredge.core.CancelSignal
import io.qsredge.core.CancelledException
import io.qsredge.core.QsrException
import io.qsredge.core.QsrUpscaler
import io.qsredge.litert.LiteRtBackend
import java.io.IOException
import java.util.concurrent.Executors

/** Picks a photo and shows it upscaled, with the bundle in assets/qsr. */
class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private var work = CancelSignal()
    private lateinit var sensors: DeviceSensors
    private lateinit var status: TextView
    private lateinit var picture: ImageView

    // The worker's: installing the bundle, the first time, and loading the model take a moment.
    private var upscaler: QsrUpscaler? = null

    private fun open(): QsrUpscaler =
        upscaler
            ?: QsrUpscaler(installFromAssets(this, "qsr"), LiteRtBackend(), sensors = sensors).also { upscaler = it }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        sensors = DeviceSensors(applicationContext)
        val pick = Button(this)
        pick.setText("Upscale a photo")
        pick.setOnClickListener {
            val photos = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*")
            try {
                startActivityForResult(photos, 1)
            } catch (_: ActivityNotFoundException) {
                // Not every television or car can.
                show("there is no app here that picks photos")
            }
        }
        status = TextView(this)
        picture = ImageView(this)
        val screen = LinearLayout(this)
        // Since Android 15 an app's screen reaches below the system's bars.
        screen.setFitsSystemWindows(true)
        screen.setOrientation(LinearLayout.VERTICAL)
        listOf(pick, status, picture).forEach(screen::addView)
        setContentView(screen)
    }

    override fun onActivityResult(
        requestCode: Int,
        resultCode: Int,
        data: Intent?,
    ) {
        super.onActivityResult(requestCode, resultCode, data)
        val photo = data?.data?.takeIf { resultCode == RESULT_OK } ?: return
        work.cancel()
        work = CancelSignal()
        val cancel = work
        worker.execute { upscale(photo, cancel) }
    }

    private fun upscale(
        photo: Uri,
        cancel: CancelSignal,
    ) {
        try {
            val bitmap = contentResolver.openInputStream(photo)?.use(BitmapFactory::decodeStream)
            bitmap ?: return show("this is no picture that Android can read")
            val upscaler = open()
            // Android draws no bitmap of more than 100 MB.
            if (1L * bitmap.width * bitmap.height * upscaler.scale * upscaler.scale > 25e6) return show("too large")
            val upscaled = upscaler.upscale(bitmap, cancel) { done, total -> show("tile $done of $total") }
            runOnUiThread { picture.setImageBitmap(upscaled) }
            show("${upscaled.width}x${upscaled.height}, depth ${upscaler.depth}")
        } catch (_: CancelledException) {
            // Another photo was picked.
        } catch (error: QsrException) {
            show("${error.message}")
        } catch (error: IOException) {
            show("the photo cannot be read (${error.message})")
        }
    }

    private fun show(text: String) = runOnUiThread { status.setText(text) }

    override fun onDestroy() {
        super.onDestroy()
        work.cancel()
        worker.execute {
            upscaler?.close()
            sensors.close()
        }
        worker.shutdown()
    }
}
