package org.pytorch.executorch;

import io.qsredge.standin.Engine;
import java.io.File;
import java.nio.ByteBuffer;

/** A stand-in of a program with one method, or one for each signature of the engine's. */
public class Module {
    public static final int LOAD_MODE_MMAP = 1;

    private final Engine.Model model;
    private boolean destroyed;

    private Module(Engine.Model model) { this.model = model; }

    public static Module load(String modelPath, int loadMode, int numThreads) {
        File file = new File(modelPath);
        if (!file.canRead()) throw new RuntimeException("Cannot load model path " + modelPath);
        return new Module(Engine.USED[0].open(file, numThreads, null));
    }

    public MethodMetadata getMethodMetadata(String name) {
        checkThere();
        return new MethodMetadata(model.delegates());
    }

    public EValue[] execute(String methodName, EValue... inputs) {
        checkThere();
        Tensor image = inputs[0].toTensor();
        if (image.shape.length != 4 || image.shape[0] != 1 || image.shape[1] != 3) throw new RuntimeException("Execution of method " + methodName + " failed with status 0x12");
        int height = (int) image.shape[2];
        int width = (int) image.shape[3];
        byte[] made = model.run(methodName.equals("forward") ? null : methodName, height, width, image.getDataAsUnsignedByteArray());
        int scale = (int) Math.round(Math.sqrt(1.0 * made.length / image.data.capacity()));
        ByteBuffer memory = ByteBuffer.allocateDirect(made.length);
        memory.put(made);
        return new EValue[] {EValue.from(Tensor.fromBlobUnsigned(memory, new long[] {1, 3, height * scale, width * scale}))};
    }

    public void destroy() {
        destroyed = true;
        model.close();
    }

    private void checkThere() {
        if (destroyed) throw new IllegalStateException("Module has been destroyed");
    }
}
