package io.qsredge.core

/** Everything that this library throws on purpose; the message is one line and says what to do. */
public sealed class QsrException(
    message: String,
    cause: Throwable? = null,
) : Exception(message, cause)

/** A manifest, or a file that it lists, is missing, damaged, contradictory or of an unknown version. */
public class BundleException(
    message: String,
    cause: Throwable? = null,
) : QsrException(message, cause)

/** A policy, latency table, sample or state holds what it cannot. */
public class PolicyException(
    message: String,
) : QsrException(message)

/** An image cannot be covered by tiles of the wanted size. */
public class TileException(
    message: String,
) : QsrException(message)

/** A runtime cannot load or run a model. */
public class BackendException(
    message: String,
    cause: Throwable? = null,
) : QsrException(message, cause)

/** Pixels do not fit what is done with them: an empty image, a buffer too small, strides that leave it. */
public class PixelException(
    message: String,
) : QsrException(message)

/** The work was cancelled, by its [CancelSignal] or because the upscaler was closed meanwhile. */
public class CancelledException(
    message: String,
) : QsrException(message)

/** An upscaler was used after it was closed. */
public class ClosedException(
    message: String,
) : QsrException(message)

/** An upscaler was called from inside its own work, such as a progress callback, where the image before is not done. */
public class BusyException(
    message: String,
) : QsrException(message)

/** Text that is not JSON as RFC 8259 has it; turned into one of the above where the text comes from is known. */
@InternalQsrApi
public class JsonException(
    message: String,
) : Exception(message)
