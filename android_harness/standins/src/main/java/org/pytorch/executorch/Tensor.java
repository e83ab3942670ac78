package org.pytorch.executorch;

import java.nio.ByteBuffer;

/** A stand-in: direct memory of exactly the shape's bytes, which is used and not copied. */
public abstract class Tensor {
    final ByteBuffer data;
    final long[] shape;

    Tensor(ByteBuffer data, long[] shape) {
        this.data = data;
        this.shape = shape;
    }

    public static Tensor fromBlobUnsigned(ByteBuffer data, long[] shape) {
        if (!data.isDirect()) throw new IllegalArgumentException("Data buffer must be direct (java.nio.ByteBuffer#allocateDirect)");
        long count = 1;
        for (long side : shape) count *= side;
        if (count != data.capacity()) {
            throw new IllegalArgumentException("Inconsistent data capacity:" + data.capacity() + " and shape number elements:" + count);
        }
        return new Tensor(data, shape.clone()) {};
    }

    public byte[] getDataAsUnsignedByteArray() {
        ByteBuffer whole = data.duplicate();
        whole.clear();
        byte[] bytes = new byte[whole.remaining()];
        whole.get(bytes);
        return bytes;
    }
}
