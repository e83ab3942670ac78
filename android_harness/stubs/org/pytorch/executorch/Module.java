package org.pytorch.executorch;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public class Module {
    public static final int LOAD_MODE_MMAP = 1;

    public static Module load(String modelPath, int loadMode, int numThreads) { throw new UnsupportedOperationException(); }

    public MethodMetadata getMethodMetadata(String name) { throw new UnsupportedOperationException(); }

    public EValue[] execute(String methodName, EValue... inputs) { throw new UnsupportedOperationException(); }

    public void destroy() { throw new UnsupportedOperationException(); }
}
