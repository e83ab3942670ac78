package ai.onnxruntime;

import java.util.Map;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public class OrtSession implements AutoCloseable {
    OrtSession() { throw new UnsupportedOperationException(); }

    public Result run(Map<String, ? extends OnnxTensorLike> inputs) throws OrtException { throw new UnsupportedOperationException(); }

    @Override public void close() throws OrtException { throw new UnsupportedOperationException(); }

    public static class SessionOptions implements AutoCloseable {
        public SessionOptions() { throw new UnsupportedOperationException(); }

        public void setIntraOpNumThreads(int numThreads) throws OrtException { throw new UnsupportedOperationException(); }

        public void addConfigEntry(String configKey, String configValue) throws OrtException { throw new UnsupportedOperationException(); }

        public void setSymbolicDimensionValue(String dimensionName, long dimensionValue) throws OrtException { throw new UnsupportedOperationException(); }

        public void addQnn(Map<String, String> providerOptions) throws OrtException { throw new UnsupportedOperationException(); }

        @Override public void close() { throw new UnsupportedOperationException(); }
    }

    public static class Result implements AutoCloseable {
        Result() { throw new UnsupportedOperationException(); }

        public OnnxValue get(int index) { throw new UnsupportedOperationException(); }

        @Override public void close() { throw new UnsupportedOperationException(); }
    }
}
