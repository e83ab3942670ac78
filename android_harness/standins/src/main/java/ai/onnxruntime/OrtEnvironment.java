package ai.onnxruntime;

import io.qsredge.standin.Engine;
import java.io.File;

/** A stand-in: one for a process. */
public final class OrtEnvironment implements AutoCloseable {
    private static final OrtEnvironment ONLY = new OrtEnvironment();

    private OrtEnvironment() { }

    public static OrtEnvironment getEnvironment() { return ONLY; }

    public String getVersion() { return Engine.USED[0].version(); }

    public OrtSession createSession(String modelPath, OrtSession.SessionOptions options) throws OrtException {
        options.checkOpen();
        try {
            return new OrtSession(Engine.USED[0].open(new File(modelPath), options.threads, options.npu ? "htp" : "cpu"), options);
        } catch (IllegalArgumentException error) {
            throw new OrtException("Error code - ORT_INVALID_PROTOBUF - message: " + error.getMessage());
        }
    }

    @Override public void close() { }
}
