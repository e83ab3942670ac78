package io.qsredge.standin

import android.os.BatteryManager
import android.os.PowerManager
import android.os.SystemClock
import io.qsredge.android.DeviceSensors
import io.qsredge.core.Sample
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test
import java.util.Collections

/** `runtime-android`'s sensors on phones of several versions, and on some that lack what they read. */
class DeviceSensorsTest {
    private fun Phone.busy() {
        battery.properties[BatteryManager.BATTERY_PROPERTY_CAPACITY] = 70
        battery.charging = true
        power.powerSave = true
        power.headroom = 0.75f
        power.heat(2)
    }

    @Test
    fun aSampleIsWhatThePhoneTells() =
        withPhone { phone, _, _ ->
            phone.busy()
            DeviceSensors(phone.application()).use { sensors ->
                val now = SystemClock.elapsedRealtime()
                val expected = Sample(now, 640, 33_000, 1100, 70, true, true, 2, 750)
                assertEquals(expected, sensors.sample(640, 33_000, 1100))
                assertEquals(Sample(now, 1, null, null, 70, true, true, 2, 750), sensors.sample(1, null, null))
            }
        }

    @Test
    fun anOlderAndroidIsAskedNothingThatItLacks() {
        for ((sdk, status, headroom) in listOf(Triple(26, null, null), Triple(29, 2, null), Triple(30, 2, 750))) {
            withPhone(sdk) { phone, _, _ ->
                phone.busy()
                DeviceSensors(phone.application()).use {
                    val sample = it.sample(1, null, null)
                    assertEquals(status, sample.thermalStatus)
                    assertEquals(headroom, sample.headroomMilli)
                    assertEquals(70, sample.batteryPercent)
                }
                assertEquals(0, phone.power.listening())
            }
        }
        withPhone(26) { phone, _, _ ->
            assertThrows(NoSuchMethodError::class.java) { phone.power.currentThermalStatus }
        }
    }

    @Test
    fun whatAPhoneLacksIsUnknown() =
        withPhone { phone, _, _ ->
            DeviceSensors(phone.application()).use {
                // No capacity, and a headroom that is not a number.
                assertEquals(
                    Sample(SystemClock.elapsedRealtime(), 1, charging = false, powerSave = false, thermalStatus = 0),
                    it.sample(1, null, null),
                )
            }
            phone.missing += listOf(PowerManager::class.java, BatteryManager::class.java)
            DeviceSensors(phone.application()).use {
                assertEquals(Sample(SystemClock.elapsedRealtime(), 1), it.sample(1, null, null))
            }
        }

    @Test
    fun headroomIsAskedForOnceASecondAndKeptForAWhile() =
        withPhone { phone, _, _ ->
            phone.power.headroom = 0.5f
            DeviceSensors(phone.application()).use { sensors ->
                repeat(5) { assertEquals(500, sensors.sample(1, null, null).headroomMilli) }
                assertEquals(1, phone.power.headroomAsked)
                phone.power.headroom = Float.NaN
                SystemClock.advance(1000)
                assertEquals(500, sensors.sample(1, null, null).headroomMilli)
                assertEquals(2, phone.power.headroomAsked)
                SystemClock.advance(10_000)
                assertEquals(null, sensors.sample(1, null, null).headroomMilli)
            }
        }

    @Test
    fun changesOfHeatAreToldOnAThreadOfAndroids() =
        withPhone { phone, _, _ ->
            val told = Collections.synchronizedList(ArrayList<Pair<Int, String>>())
            val sensors = DeviceSensors(phone.application()) { told += it to Thread.currentThread().name }
            phone.power.heat(3)
            // No status of Android's: unknown, and nobody is told.
            phone.power.heat(99)
            assertEquals(null, sensors.sample(1, null, null).thermalStatus)
            phone.power.heat(1)
            assertEquals(listOf(0, 3, 1).map { it to "Binder" }, told.toList())
            assertEquals(1, sensors.sample(1, null, null).thermalStatus)
            sensors.close()
            phone.power.heat(4)
            assertEquals(3, told.size)
            // A second close is none: Android would not know the listener any more.
            sensors.close()
            assertEquals(0, phone.power.listening())
        }
}
