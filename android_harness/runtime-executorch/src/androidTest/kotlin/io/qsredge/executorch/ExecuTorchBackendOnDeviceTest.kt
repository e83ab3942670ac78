package io.qsredge.executorch

import io.qsredge.android.checkBundleOnDevice
import org.junit.Test

/** The runtime's own library, on a phone or an emulator. */
class ExecuTorchBackendOnDeviceTest {
    @Test
    fun everyDepthGivesItsGoldenBytes() = checkBundleOnDevice(ExecuTorchBackend())
}
