package io.qsredge.bench

import io.qsredge.core.Backend
import io.qsredge.executorch.ExecuTorchBackend

/** The runtime of this build. */
internal fun appBackend(): Backend = ExecuTorchBackend()
