package ai.onnxruntime;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public final class OrtEnvironment implements AutoCloseable {
    OrtEnvironment() { throw new UnsupportedOperationException(); }

    public static OrtEnvironment getEnvironment() { throw new UnsupportedOperationException(); }

    public String getVersion() { throw new UnsupportedOperationException(); }

    public OrtSession createSession(String modelPath, OrtSession.SessionOptions options) throws OrtException { throw new UnsupportedOperationException(); }

    @Override public void close() { throw new UnsupportedOperationException(); }
}
