package ai.onnxruntime;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public interface OnnxValue extends AutoCloseable {
    @Override void close();
}
