package ai.onnxruntime;

/** A stand-in. */
public abstract class OnnxTensorLike implements OnnxValue {
    boolean closed;

    @Override public void close() { closed = true; }

    void checkOpen() {
        if (closed) throw new IllegalStateException("Trying to use a closed OnnxValue");
    }
}
