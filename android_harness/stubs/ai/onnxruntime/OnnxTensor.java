package ai.onnxruntime;

import java.nio.ByteBuffer;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public class OnnxTensor extends OnnxTensorLike {
    OnnxTensor() { throw new UnsupportedOperationException(); }

    public static OnnxTensor createTensor(OrtEnvironment env, ByteBuffer data, long[] shape, OnnxJavaType type) throws OrtException { throw new UnsupportedOperationException(); }

    public ByteBuffer getByteBuffer() { throw new UnsupportedOperationException(); }
}
