package org.pytorch.executorch;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public class MethodMetadata {
    public String[] getBackends() { throw new UnsupportedOperationException(); }
}
