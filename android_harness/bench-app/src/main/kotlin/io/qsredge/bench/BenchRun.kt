package io.qsredge.bench

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import io.qsredge.android.DeviceSensors
import io.qsredge.bench.core.AgentDevice
import io.qsredge.bench.core.AgentHost
import io.qsredge.bench.core.Condition
import io.qsredge.bench.core.JobPlaces
import io.qsredge.bench.core.Outcome
import io.qsredge.bench.core.SystemFiles
import io.qsredge.bench.core.phoneCondition
import java.io.File

/** This phone, for the agent. */
private class PhoneDevice(
    private val context: Context,
    private val sensors: DeviceSensors,
) : AgentDevice {
    private val files = SystemFiles()
    private val manager = context.getSystemService(BatteryManager::class.java)

    override fun condition(): Condition {
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))

        fun extra(name: String): Int? = battery?.getIntExtra(name, Int.MIN_VALUE)
        return phoneCondition(
            sensors.sample(1, null, null),
            files,
            extra(BatteryManager.EXTRA_TEMPERATURE),
            extra(BatteryManager.EXTRA_VOLTAGE),
            extra(BatteryManager.EXTRA_PLUGGED),
            manager?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW),
        )
    }

    override fun peakBytes(): Long? = files.peakBytes()
}

internal val host = AgentHost("qsr-edge-bench-app 0.1.0 on ${Build.MODEL}")

/** Measure a job on this thread, the processor kept awake. */
internal fun measure(
    context: Context,
    job: String,
): Outcome {
    // Asking for the folder that results go to makes it.
    val places = JobPlaces.ofApp(context.getExternalFilesDir(null)?.path)
    val power = context.getSystemService(PowerManager::class.java)
    val lock = power.newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "qsr-edge:bench")
    lock.acquire(24L * 3600 * 1000) // ms: longer than any run
    try {
        return DeviceSensors(context) { host.event("thermal", "thermal_status" to it) }.use {
            host.measure(File(job), appBackend(), PhoneDevice(context, it), places)
        }
    } finally {
        lock.release()
    }
}
