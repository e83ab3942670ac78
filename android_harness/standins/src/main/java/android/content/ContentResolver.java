package android.content;

import android.net.Uri;
import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.InputStream;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** A stand-in: what a provider gives for its address. No bytes: the provider crashed, and Android gives null. */
public abstract class ContentResolver {
    private static final byte[] NOTHING = new byte[0];
    private final Map<String, byte[]> contents = new ConcurrentHashMap<>();

    public void put(Uri uri, byte[] content) { contents.put(uri.toString(), content); }

    public void crash(Uri uri) { contents.put(uri.toString(), NOTHING); }

    // Declared without the exception in the signatures that the app is compiled against; Android throws it all the same.
    public final InputStream openInputStream(Uri uri) throws FileNotFoundException {
        byte[] content = contents.get(uri.toString());
        if (content == null) throw new FileNotFoundException("No content provider: " + uri);
        return content == NOTHING ? null : new ByteArrayInputStream(content);
    }
}
