package org.pytorch.executorch;

import java.nio.ByteBuffer;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public abstract class Tensor {
    public static Tensor fromBlobUnsigned(ByteBuffer data, long[] shape) { throw new UnsupportedOperationException(); }

    public byte[] getDataAsUnsignedByteArray() { throw new UnsupportedOperationException(); }
}
