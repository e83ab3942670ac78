package ai.onnxruntime;

/** A stand-in. */
public interface OnnxValue extends AutoCloseable {
    @Override void close();
}
