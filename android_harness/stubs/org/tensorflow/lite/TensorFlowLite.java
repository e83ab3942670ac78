package org.tensorflow.lite;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public final class TensorFlowLite {
    public static String runtimeVersion() { throw new UnsupportedOperationException(); }
}
