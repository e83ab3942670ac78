package org.tensorflow.lite;

import io.qsredge.standin.Engine;

/** A stand-in. */
public final class TensorFlowLite {
    public static String runtimeVersion() { return Engine.USED[0].version(); }
}
