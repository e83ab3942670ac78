package io.qsredge.standin;

import java.io.File;

/** What computes behind the stand-ins of the runtimes' Java interfaces. */
public interface Engine {
    /** The one that is used; a test sets it. */
    Engine[] USED = new Engine[1];

    /** The runtime's version, as its Java interface tells it. */
    String version();

    /**
     * @param kernels family, by qsr-edge's name for it.
     * @throws IllegalArgumentException if the file is no model of the runtime.
     */
    Model open(File file, int threads, String kernels);

    interface Model extends AutoCloseable {
        /** Rows of RGB to rows of RGB; signature is null for a file's only one. */
        byte[] run(String signature, int heightPx, int widthPx, byte[] rgb);

        /** Delegates that the file names, by the runtime's names. */
        String[] delegates();

        @Override void close();
    }
}
