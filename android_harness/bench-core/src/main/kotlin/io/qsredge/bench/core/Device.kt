package io.qsredge.bench.core

import io.qsredge.core.Sample
import java.io.File
import java.io.IOException

/** The state of a device that latencies depend on, in the protocol's units; null for what it does not tell. */
data class Condition(
    val thermalStatus: Int? = null,
    val headroomMilli: Int? = null,
    val temperatureMc: Int? = null,
    val batteryTemperatureMc: Int? = null,
    val batteryPercent: Int? = null,
    val pluggedIn: Boolean? = null,
    val powerSave: Boolean? = null,
    val currentUa: Int? = null,
    val voltageMv: Int? = null,
    val loadMilli: Int? = null,
    val cpuKhz: List<Int>? = null,
) {
    internal fun toRecord(): Map<String, Any> =
        listOf(
            "thermal_status" to thermalStatus,
            "headroom_milli" to headroomMilli,
            "temperature_mc" to temperatureMc,
            "battery_temperature_mc" to batteryTemperatureMc,
            "battery_percent" to batteryPercent,
            "plugged_in" to pluggedIn,
            "power_save" to powerSave,
            "current_ua" to currentUa,
            "voltage_mv" to voltageMv,
            "load_milli" to loadMilli,
            "cpu_khz" to cpuKhz,
        ).mapNotNull { (key, value) -> value?.let { key to it } }.toMap()

    /** Why a device in this state is not to be measured yet, or null; what it does not tell cannot keep it. */
    internal fun above(gate: Gate): String? {
        if (thermalStatus != null && thermalStatus > gate.maxThermalStatus) {
            return "thermal status $thermalStatus, expected at most ${gate.maxThermalStatus}"
        }
        val temperature = batteryTemperatureMc ?: temperatureMc
        if (gate.maxTemperatureMc != null && temperature != null && temperature > gate.maxTemperatureMc) {
            return "${degrees(temperature)} degrees, expected at most ${degrees(gate.maxTemperatureMc)}"
        }
        return null
    }
}

internal fun degrees(milli: Int): String = "%.1f".format(java.util.Locale.ROOT, milli / 1000.0)

/** What an agent runs on. */
interface AgentDevice {
    /** A clock that never jumps; nanoseconds since any moment. */
    fun nanoTime(): Long = System.nanoTime()

    /** The wall clock, milliseconds since 1970. */
    fun wallMs(): Long = System.currentTimeMillis()

    /** Waits. */
    fun sleep(ms: Long): Unit = Thread.sleep(ms)

    /** The state now. */
    fun condition(): Condition

    /** The most memory that what runs the models has had; null if unknown. */
    fun peakBytes(): Long?
}

/**
 * A phone, of what Android gives. Values of Int.MIN_VALUE, which Android gives for what it does not know, are unknown.
 *
 * @param sample asks its sensors.
 * @param battery asks for the broadcast about its battery, whose numbers have the names of `BatteryManager.EXTRA_...`.
 * @param currentUa asks for the battery's current.
 */
class PhoneDevice(
    private val sample: () -> Sample,
    private val battery: () -> (String) -> Int?,
    private val currentUa: () -> Int?,
    private val files: SystemFiles = SystemFiles(),
) : AgentDevice {
    override fun condition(): Condition {
        val sensors = sample()
        val extra = battery()

        fun known(value: Int?): Int? = value?.takeIf { it != Int.MIN_VALUE }
        return Condition(
            thermalStatus = sensors.thermalStatus,
            headroomMilli = sensors.headroomMilli,
            temperatureMc = files.temperatureMc(),
            // Tenths of a degree.
            batteryTemperatureMc = known(extra("temperature"))?.let { it * 100 },
            batteryPercent = sensors.batteryPercent,
            // By what; 0 on battery.
            pluggedIn = known(extra("plugged"))?.let { it != 0 },
            powerSave = sensors.powerSave,
            currentUa = known(currentUa()),
            voltageMv = known(extra("voltage")),
            cpuKhz = files.cpuKhz(),
        )
    }

    override fun peakBytes(): Long? = files.peakBytes()
}

/** What Linux, so Android too, tells in files. What cannot be read is null: Android hides some of them from apps. */
class SystemFiles(
    private val root: File = File("/"),
) {
    private fun text(path: String): String? =
        try {
            File(root, path).readText().trim()
        } catch (_: IOException) {
            null
        }

    private fun numbered(
        folder: String,
        name: Regex,
    ): List<String> =
        File(root, folder)
            .list()
            .orEmpty()
            .filter(name::matches)
            .sortedBy { it.filter(Char::isDigit).toInt() }

    /** Current frequency of each core, if all tell. */
    fun cpuKhz(): List<Int>? {
        val cores = numbered(CORES, Regex("cpu[0-9]+"))
        val found = cores.mapNotNull { text("$CORES/$it/cpufreq/scaling_cur_freq")?.toIntOrNull() }
        return found.takeIf { it.isNotEmpty() && it.size == cores.size }
    }

    /** The hottest thermal zone in thousandths of a degree. */
    fun temperatureMc(): Int? =
        numbered(ZONES, Regex("thermal_zone[0-9]+")).mapNotNull { text("$ZONES/$it/temp")?.toIntOrNull() }.maxOrNull()

    /** Processes that want to run, over a minute, in thousandths. */
    fun loadMilli(): Int? =
        text("proc/loadavg")?.substringBefore(' ')?.toDoubleOrNull()?.let { Math.round(it * 1000).toInt() }

    /** Whether a power supply feeds it. */
    fun pluggedIn(): Boolean? {
        val supplies = File(root, SUPPLIES).list().orEmpty().mapNotNull { text("$SUPPLIES/$it/online") }
        return if (supplies.isEmpty()) null else "1" in supplies
    }

    /** The most memory that a process, by default this one, has had resident. */
    fun peakBytes(process: String = "self"): Long? =
        text("proc/$process/status")
            ?.lineSequence()
            ?.firstOrNull { it.startsWith("VmHWM:") }
            ?.filter(Char::isDigit)
            ?.toLongOrNull()
            ?.let { it * 1024 }

    private companion object {
        const val CORES = "sys/devices/system/cpu"
        const val ZONES = "sys/class/thermal"
        const val SUPPLIES = "sys/class/power_supply"
    }
}
