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
import io.qsredge.bench.core.JobPlaces
import io.qsredge.bench.core.Outcome
import io.qsredge.bench.core.PhoneDevice
import java.io.File

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
            host.measure(File(job), appBackend(), phone(context, it), places)
        }
    } finally {
        lock.release()
    }
}

private fun phone(
    context: Context,
    sensors: DeviceSensors,
): AgentDevice {
    val manager = context.getSystemService(BatteryManager::class.java)
    val battery = IntentFilter(Intent.ACTION_BATTERY_CHANGED)
    return PhoneDevice(
        { sensors.sample(1, null, null) },
        { context.registerReceiver(null, battery).let { told -> { told?.getIntExtra(it, Int.MIN_VALUE) } } },
        { manager?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CURRENT_NOW) },
    )
}
