package io.qsredge.android

import android.content.Context
import android.os.BatteryManager
import android.os.Build.VERSION
import android.os.Build.VERSION_CODES
import android.os.PowerManager
import android.os.SystemClock
import io.qsredge.core.HeadroomReader
import io.qsredge.core.Sample
import io.qsredge.core.SensorSource
import io.qsredge.core.SensorValues
import java.util.concurrent.Executor
import java.util.concurrent.atomic.AtomicBoolean

/**
 * Battery, power-save mode and heat of this device as [Sample]s. Needs no permission. Thermal status needs Android 10,
 * headroom Android 11; before that they are unknown. Close it when the selector is no longer used.
 *
 * [sample] is for one thread at a time; the status listener may be called on any.
 *
 * @param onThermalStatus told of every change of the thermal status, 0 to 6.
 */
public class DeviceSensors(
    context: Context,
    private val onThermalStatus: (Int) -> Unit = {},
) : SensorSource,
    AutoCloseable {
    private val power: PowerManager? = context.getSystemService(PowerManager::class.java)
    private val battery: BatteryManager? = context.getSystemService(BatteryManager::class.java)

    @Volatile
    private var thermalStatus: Int? = null
    private val stopListening: () -> Unit = listen()
    private val closed = AtomicBoolean()
    private val headroom: HeadroomReader? =
        power.takeIf { VERSION.SDK_INT >= VERSION_CODES.R }?.let { HeadroomReader { it.getThermalHeadroom(0) } }

    private fun listen(): () -> Unit {
        if (power == null || VERSION.SDK_INT < VERSION_CODES.Q) return {}
        val listener =
            PowerManager.OnThermalStatusChangedListener {
                thermalStatus = SensorValues.thermalStatus(it)
                thermalStatus?.let(onThermalStatus)
            }
        thermalStatus = SensorValues.thermalStatus(power.currentThermalStatus)
        power.addThermalStatusListener(Executor { it.run() }, listener)
        return { power.removeThermalStatusListener(listener) }
    }

    override fun sample(
        pixels: Long,
        budgetUs: Long?,
        latencyRatioMilli: Int?,
    ): Sample {
        val nowMs = SystemClock.elapsedRealtime()
        val capacity = battery?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)
        return Sample(
            timeMs = nowMs,
            pixels = pixels,
            budgetUs = budgetUs,
            latencyRatioMilli = latencyRatioMilli?.toLong(),
            batteryPercent = capacity?.let(SensorValues::batteryPercent),
            charging = battery?.isCharging,
            powerSave = power?.isPowerSaveMode,
            thermalStatus = thermalStatus,
            headroomMilli = headroom?.read(nowMs),
        )
    }

    override fun close() {
        // Android refuses to take a listener away that it does not know any more.
        if (!closed.getAndSet(true)) stopListening()
    }
}
