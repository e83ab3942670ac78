package ai.onnxruntime;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public abstract class OnnxTensorLike implements OnnxValue {
    OnnxTensorLike() { throw new UnsupportedOperationException(); }

    @Override public void close() { throw new UnsupportedOperationException(); }
}
