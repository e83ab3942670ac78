package org.pytorch.executorch;

/** A stand-in: tensors alone. */
public class EValue {
    private final Tensor tensor;

    private EValue(Tensor tensor) { this.tensor = tensor; }

    public static EValue from(Tensor tensor) { return new EValue(tensor); }

    public Tensor toTensor() { return tensor; }
}
