package io.qsredge.bench

import android.app.Activity
import android.app.Instrumentation
import android.content.Intent
import android.os.Bundle
import android.view.WindowManager

/**
 * `am start -W -n io.qsredge.bench/.BenchActivity --es job PATH`. Shows how the part goes; the part itself belongs to the
 * process, so that a rotation, or another activity in front, does not end it. It is then told as an event: a
 * process in the background gets other cores, and qsr-edge marks such a run.
 */
class BenchActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window?.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        // Since Android 15 an app's screen reaches below the system's bars.
        setContentView(BenchView(this).apply { setFitsSystemWindows(true) })
        // Made anew after a rotation, it comes with the intent that has been obeyed already.
        if (savedInstanceState == null) obey(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        obey(intent)
    }

    private fun obey(intent: Intent) {
        val job = intent.getStringExtra(JOB) ?: return
        Thread({ measure(applicationContext, job) }, "qsr-edge-bench").start()
    }

    override fun onPause() {
        super.onPause()
        host.event("paused")
    }

    override fun onResume() {
        super.onResume()
        host.event("resumed")
    }

    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        host.event("low-memory")
    }
}

/** `am instrument -w -e job PATH io.qsredge.bench/.BenchInstrumentation`: the same without a screen. */
class BenchInstrumentation : Instrumentation() {
    private var job: String? = null

    override fun onCreate(arguments: Bundle?) {
        super.onCreate(arguments)
        job = arguments?.getString(JOB)
        start()
    }

    override fun onStart() {
        val outcome = job?.let { measure(targetContext, it) }
        val result = Bundle()
        result.putString("message", outcome?.summary ?: "no job; give one with -e job PATH")
        finish(if (outcome?.complete == true) Activity.RESULT_OK else 1, result)
    }
}

private const val JOB = "job"
