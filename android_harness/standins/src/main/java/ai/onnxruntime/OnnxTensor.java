package ai.onnxruntime;

import java.nio.ByteBuffer;

/** A stand-in: reads what remains of a buffer, and gives a copy of its own memory. */
public class OnnxTensor extends OnnxTensorLike {
    final byte[] data;
    final long[] shape;

    OnnxTensor(byte[] data, long[] shape) {
        this.data = data;
        this.shape = shape;
    }

    public static OnnxTensor createTensor(OrtEnvironment env, ByteBuffer data, long[] shape, OnnxJavaType type) throws OrtException {
        long count = 1;
        for (long side : shape) count *= side;
        if (count != data.remaining()) {
            throw new OrtException("Shape requires " + count + " elements, the buffer has " + data.remaining());
        }
        byte[] copy = new byte[data.remaining()];
        data.duplicate().get(copy);
        return new OnnxTensor(copy, shape.clone());
    }

    public ByteBuffer getByteBuffer() {
        checkOpen();
        ByteBuffer copy = ByteBuffer.allocate(data.length);
        copy.put(data);
        copy.rewind();
        return copy;
    }
}
