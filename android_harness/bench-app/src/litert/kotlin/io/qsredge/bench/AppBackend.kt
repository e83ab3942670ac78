package io.qsredge.bench

import io.qsredge.core.Backend
import io.qsredge.litert.LiteRtBackend

/** The runtime of this build. */
internal fun appBackend(): Backend = LiteRtBackend()
