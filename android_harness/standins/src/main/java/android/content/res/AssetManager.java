package android.content.res;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** A stand-in: files by name. Folders cannot be opened, names begin with no slash, and compressed assets come in short pieces. */
public final class AssetManager {
    private static final int PIECE_BYTES = 1000;
    private final Map<String, byte[]> files = new ConcurrentHashMap<>();

    public void put(String name, byte[] content) { files.put(name, content); }

    public InputStream open(String fileName) throws IOException {
        byte[] content = files.get(fileName);
        if (content == null) throw new FileNotFoundException(fileName);
        return new ByteArrayInputStream(content) {
            @Override public synchronized int read(byte[] into, int offset, int length) {
                return super.read(into, offset, Math.min(length, PIECE_BYTES));
            }
        };
    }
}
