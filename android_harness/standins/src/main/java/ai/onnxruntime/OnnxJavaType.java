package ai.onnxruntime;

/** A stand-in. */
public enum OnnxJavaType { UINT8 }
