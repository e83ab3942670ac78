package io.qsredge.bench

import android.app.Activity
import android.app.Instrumentation
import android.content.Intent
import android.os.Bundle
import android.view.WindowManager

/**
 * `am start -W -n io.qsredge.bench/.BenchActivity --es job PATH`. Shows how the part goes; the part itself belongs to the
 * process and [BenchService] holds that, so that neither a rotation nor another activity in front ends it. The latter is told as
 * an event: a process in the background gets other cores, and qsr-edge marks such a run.
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
        val service = Intent(this, BenchService::class.java)
        // Should Android not start it, the part runs all the same, as long as it is seen.
        runCatching { startService(service) }
        Thread({ measure(applicationContext, job).also { stopService(service) } }, "qsr-edge-bench").start()
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
        host.trimMemory(level)
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
