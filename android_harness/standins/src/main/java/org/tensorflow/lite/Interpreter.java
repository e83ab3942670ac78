package org.tensorflow.lite;

import io.qsredge.standin.Engine;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.TreeMap;

/**
 * A stand-in with the manners of LiteRT's Java classes (TensorImpl, NativeInterpreterWrapper): buffers of exactly the tensor's
 * bytes; a direct buffer of the processor's order is read whole, any other from its position on; an output is written from the
 * buffer's position on; the input of a signature is resized by arrays alone. Each signature is a subgraph with a size of its own.
 */
public final class Interpreter implements AutoCloseable {
    private static final String ONLY = "";
    private final Map<String, int[]> shapes = new TreeMap<>();
    private final Engine.Model model;
    private boolean closed;

    public static class Options {
        int threads = 1;
        boolean xnnpack = true;

        public Options setNumThreads(int numThreads) {
            if (numThreads < -1) throw new IllegalArgumentException("numThreads should be >= -1");
            threads = numThreads;
            return this;
        }

        public Options setUseXNNPACK(boolean useXNNPACK) {
            xnnpack = useXNNPACK;
            return this;
        }
    }

    public Interpreter(File modelFile, Options options) {
        model = Engine.USED[0].open(modelFile, options.threads, options.xnnpack ? "xnnpack" : "builtin");
    }

    public void resizeInput(int idx, int[] dims) {
        checkNotClosed();
        if (idx != 0) throw new IllegalArgumentException("Input error: " + idx + " is not a valid input index.");
        shapes.put(ONLY, dims.clone());
    }

    public void run(Object input, Object output) {
        checkNotClosed();
        infer(null, ONLY, input, output);
    }

    public void runSignature(Map<String, Object> inputs, Map<String, Object> outputs, String signatureKey) {
        checkNotClosed();
        if (inputs == null || inputs.isEmpty()) throw new IllegalArgumentException("Input error: Inputs should not be null or empty.");
        if (outputs == null) throw new IllegalArgumentException("Input error: Outputs should not be null.");
        if (!inputs.keySet().equals(Map.of("image", 0).keySet())) throw new IllegalArgumentException("Input error: no input " + inputs.keySet());
        for (String name : outputs.keySet()) {
            if (!name.equals("upscaled")) throw new IllegalArgumentException("Input error: no output " + name);
        }
        infer(signatureKey, signatureKey, inputs.get("image"), outputs.get("upscaled"));
    }

    private void infer(String signature, String key, Object input, Object output) {
        if (!(input instanceof ByteBuffer)) shapes.put(key, shapeOf((byte[][][][]) input));
        int[] shape = shapes.getOrDefault(key, new int[] {1, 1, 1, 3});
        byte[] pixels = new byte[shape[1] * shape[2] * shape[3]];
        if (input instanceof ByteBuffer) read((ByteBuffer) input, pixels);
        else flatten((byte[][][][]) input, pixels);
        byte[] made = model.run(signature, shape[1], shape[2], pixels);
        if (output == null) return;
        ByteBuffer into = (ByteBuffer) output;
        if (into.capacity() != made.length) {
            throw new IllegalArgumentException("Cannot copy from a TensorFlowLite tensor with " + made.length + " bytes to a Java Buffer with " + into.capacity() + " bytes.");
        }
        into.put(made);
    }

    private static void read(ByteBuffer from, byte[] pixels) {
        if (from.capacity() != pixels.length) {
            throw new IllegalArgumentException("Cannot copy to a TensorFlowLite tensor with " + pixels.length + " bytes from a Java Buffer with " + from.capacity() + " bytes.");
        }
        if (from.isDirect() && from.order() == ByteOrder.nativeOrder()) {
            ByteBuffer whole = from.duplicate();
            whole.clear();
            whole.get(pixels);
        } else {
            from.get(pixels, 0, from.remaining());
        }
    }

    private static int[] shapeOf(byte[][][][] array) {
        return new int[] {array.length, array[0].length, array[0][0].length, array[0][0][0].length};
    }

    private static void flatten(byte[][][][] array, byte[] pixels) {
        int next = 0;
        for (byte[][] row : array[0]) {
            for (byte[] pixel : row) {
                for (byte value : pixel) pixels[next++] = value;
            }
        }
    }

    private void checkNotClosed() {
        if (closed) throw new IllegalStateException("Internal error: The Interpreter has already been closed.");
    }

    @Override public void close() {
        closed = true;
        model.close();
    }
}
