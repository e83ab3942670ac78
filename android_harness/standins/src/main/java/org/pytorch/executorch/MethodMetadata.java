package org.pytorch.executorch;

/** A stand-in. */
public class MethodMetadata {
    private final String[] backends;

    MethodMetadata(String[] backends) { this.backends = backends; }

    public String[] getBackends() { return backends.clone(); }
}
