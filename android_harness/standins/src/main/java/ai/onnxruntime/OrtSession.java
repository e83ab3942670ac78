package ai.onnxruntime;

import io.qsredge.standin.Engine;
import java.util.HashMap;
import java.util.Map;

/** A stand-in: planes in, planes out; on the NPU one size alone, that of the options. */
public class OrtSession implements AutoCloseable {
    private final Engine.Model model;
    private final Map<String, Long> dimensions;
    private final boolean npu;
    private boolean closed;

    OrtSession(Engine.Model model, SessionOptions options) throws OrtException {
        this.model = model;
        npu = options.npu;
        dimensions = new HashMap<>(options.dimensions);
        if (npu && !options.fallbackRefused) throw new OrtException("a session on the NPU that may fall back");
    }

    public Result run(Map<String, ? extends OnnxTensorLike> inputs) throws OrtException {
        if (closed) throw new IllegalStateException("Asking for inputs from a closed OrtSession.");
        OnnxTensor image = (OnnxTensor) inputs.get("image");
        if (image == null) throw new OrtException("Unknown input name " + inputs.keySet() + ", expected one of [image]");
        image.checkOpen();
        int height = (int) image.shape[2];
        int width = (int) image.shape[3];
        if (npu && (dimensions.getOrDefault("height", -1L) != height || dimensions.getOrDefault("width", -1L) != width)) {
            throw new OrtException("Got invalid dimensions for input: image " + height + "x" + width);
        }
        int pixels = height * width;
        byte[] rows = new byte[3 * pixels];
        for (int i = 0; i < rows.length; i++) rows[i] = image.data[i % 3 * pixels + i / 3];
        byte[] made = model.run(null, height, width, rows);
        byte[] planes = new byte[made.length];
        for (int i = 0; i < made.length; i++) planes[i % 3 * (made.length / 3) + i / 3] = made[i];
        return new Result(new OnnxTensor(planes, new long[] {1, 3, -1, -1}));
    }

    @Override public void close() throws OrtException {
        if (closed) throw new IllegalStateException("Trying to close an already closed OrtSession.");
        closed = true;
        model.close();
    }

    public static class SessionOptions implements AutoCloseable {
        final Map<String, Long> dimensions = new HashMap<>();
        int threads = 1;
        boolean npu;
        boolean fallbackRefused;
        private boolean closed;

        public void setIntraOpNumThreads(int numThreads) throws OrtException { threads = numThreads; }

        public void addConfigEntry(String configKey, String configValue) throws OrtException {
            fallbackRefused |= configKey.equals("session.disable_cpu_ep_fallback") && configValue.equals("1");
        }

        public void setSymbolicDimensionValue(String dimensionName, long dimensionValue) throws OrtException { dimensions.put(dimensionName, dimensionValue); }

        public void addQnn(Map<String, String> providerOptions) throws OrtException {
            if (!"libQnnHtp.so".equals(providerOptions.get("backend_path"))) throw new OrtException("no such QNN back end " + providerOptions);
            npu = true;
        }

        void checkOpen() {
            if (closed) throw new IllegalStateException("Trying to use a closed SessionOptions");
        }

        @Override public void close() { closed = true; }
    }

    public static class Result implements AutoCloseable {
        private final OnnxTensor only;

        Result(OnnxTensor only) { this.only = only; }

        public OnnxValue get(int index) {
            if (index != 0) throw new IllegalArgumentException("Index out of bounds, " + index);
            return only;
        }

        @Override public void close() { only.close(); }
    }
}
