package io.qsredge.onnx

import io.qsredge.android.checkBundleOnDevice
import org.junit.Test

/** The runtime's own library, on a phone or an emulator. */
class OnnxRuntimeBackendOnDeviceTest {
    @Test
    fun everyDepthGivesItsGoldenBytes() = checkBundleOnDevice(OnnxRuntimeBackend())
}
