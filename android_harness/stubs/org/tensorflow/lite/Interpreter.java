package org.tensorflow.lite;

import java.io.File;
import java.util.Map;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public final class Interpreter implements AutoCloseable {
    public static class Options {
        public Options() { throw new UnsupportedOperationException(); }

        public Options setNumThreads(int numThreads) { throw new UnsupportedOperationException(); }

        public Options setUseXNNPACK(boolean useXNNPACK) { throw new UnsupportedOperationException(); }
    }

    public Interpreter(File modelFile, Options options) { throw new UnsupportedOperationException(); }

    public void resizeInput(int idx, int[] dims) { throw new UnsupportedOperationException(); }

    public void run(Object input, Object output) { throw new UnsupportedOperationException(); }

    public void runSignature(Map<String, Object> inputs, Map<String, Object> outputs, String signatureKey) { throw new UnsupportedOperationException(); }

    @Override public void close() { throw new UnsupportedOperationException(); }
}
