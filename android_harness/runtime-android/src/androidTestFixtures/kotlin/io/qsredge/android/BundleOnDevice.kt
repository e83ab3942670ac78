package io.qsredge.android

import androidx.test.platform.app.InstrumentationRegistry
import io.qsredge.core.Backend
import io.qsredge.core.QsrBundle
import io.qsredge.core.QsrUpscaler
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue

/** See that every depth of the bundle in the test's own assets (`androidTest/assets/qsr`) gives its golden bytes here. */
fun checkBundleOnDevice(backend: Backend) {
    // Assets are the test's, storage the app's under test.
    val instrumentation = InstrumentationRegistry.getInstrumentation()
    val storage = bundleStorage(instrumentation.targetContext)
    val bundle =
        QsrBundle.installFrom({ instrumentation.context.assets.open(it) }, "qsr", storage)
    QsrUpscaler(bundle, backend).use { upscaler ->
        val tests = upscaler.selfTest()
        assertTrue(tests.isNotEmpty())
        assertEquals(tests.map { it.expectedSha256 }, tests.map { it.sha256 })
    }
}
