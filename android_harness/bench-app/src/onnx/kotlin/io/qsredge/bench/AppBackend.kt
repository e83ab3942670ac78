package io.qsredge.bench

import io.qsredge.core.Backend
import io.qsredge.onnx.OnnxRuntimeBackend

/** The runtime of this build. */
internal fun appBackend(): Backend = OnnxRuntimeBackend()
