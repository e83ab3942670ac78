package io.qsredge.litert

import io.qsredge.android.checkBundleOnDevice
import org.junit.Test

/** The runtime's own library, on a phone or an emulator. */
class LiteRtBackendOnDeviceTest {
    @Test
    fun everyDepthGivesItsGoldenBytes() = checkBundleOnDevice(LiteRtBackend())
}
