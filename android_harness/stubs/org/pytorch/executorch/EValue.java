package org.pytorch.executorch;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public class EValue {
    public static EValue from(Tensor tensor) { throw new UnsupportedOperationException(); }

    public Tensor toTensor() { throw new UnsupportedOperationException(); }
}
