package ai.onnxruntime;

/** Signatures only, to compile against; stubs/README.md says where they are from. */
public class OrtException extends Exception {
    OrtException(String message) { super(message); }
}
