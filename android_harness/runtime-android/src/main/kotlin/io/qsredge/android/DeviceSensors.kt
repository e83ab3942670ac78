package io.qsredge.android

import android.content.Context
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import android.os.SystemClock
import io.qsredge.core.HeadroomReader
import io.qsredge.core.Sample
import io.qsredge.core.SensorValues
import java.util.concurrent.Executor

/**
 * Battery, power-save mode and heat of this device as [Sample]s. Needs no permission. Thermal status needs Android 10,
 * headroom Android 11; before that they are unknown. Close it when the selector is no longer used.
 *
 * [sample] is for one thread; the status listener may be called on any.
 */
public class DeviceSensors(
    context: Context,
) : AutoCloseable {
    private val power: PowerManager? = context.getSystemService(PowerManager::class.java)
    private val battery: BatteryManager? = context.getSystemService(BatteryManager::class.java)

    @Volatile
    private var thermalStatus: Int? = null

    private val headroom: HeadroomReader? =
        if (Build.VERSION.SDK_INT >= ANDROID_11 &&
            power != null
        ) {
            HeadroomReader { power.getThermalHeadroom(FORECAST_S) }
        } else {
            null
        }
    private val stopListening: () -> Unit

    init {
        if (Build.VERSION.SDK_INT >= ANDROID_10 && power != null) {
            val listener =
                PowerManager.OnThermalStatusChangedListener {
                    thermalStatus =
                        SensorValues.thermalStatus(
                            it,
                        )
                }
            thermalStatus = SensorValues.thermalStatus(power.currentThermalStatus)
            power.addThermalStatusListener(Executor { it.run() }, listener)
            stopListening = { power.removeThermalStatusListener(listener) }
        } else {
            stopListening = {}
        }
    }

    /**
     * What is known now.
     *
     * @param pixels of the input of a frame.
     * @param budgetUs that a frame may take; null for no deadline.
     * @param latencyRatioMilli of a [io.qsredge.core.LatencyTracker].
     */
    public fun sample(
        pixels: Long,
        budgetUs: Long?,
        latencyRatioMilli: Int?,
    ): Sample {
        val nowMs = SystemClock.elapsedRealtime()
        return Sample(
            timeMs = nowMs,
            pixels = pixels,
            budgetUs = budgetUs,
            latencyRatioMilli = latencyRatioMilli?.toLong(),
            batteryPercent =
                battery?.let {
                    SensorValues.batteryPercent(it.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY))
                },
            charging = battery?.isCharging,
            powerSave = power?.isPowerSaveMode,
            thermalStatus = thermalStatus,
            headroomMilli = headroom?.read(nowMs),
        )
    }

    override fun close() {
        stopListening()
    }

    private companion object {
        const val ANDROID_10 = 29
        const val ANDROID_11 = 30
        const val FORECAST_S = 0
    }
}
