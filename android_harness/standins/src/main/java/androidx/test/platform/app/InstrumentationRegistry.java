package androidx.test.platform.app;

import android.app.Instrumentation;
import io.qsredge.standin.AppManifest;
import io.qsredge.standin.Phone;
import java.io.File;
import java.nio.file.Files;

/** A stand-in: an instrumentation on a phone of its own, made when it is first asked for. */
public final class InstrumentationRegistry {
    private static Instrumentation instrumentation;

    public static synchronized Instrumentation getInstrumentation() {
        if (instrumentation == null) {
            try {
                File root = Files.createTempDirectory("qsr-stand-in").toFile();
                root.deleteOnExit();
                String manifest = System.getProperty("qsr.harness", ".") + "/runtime-android/src/main/AndroidManifest.xml";
                instrumentation = new Instrumentation();
                instrumentation.attach(new Phone(36, root, new AppManifest(new File(manifest), "io.qsredge.android")));
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }
        return instrumentation;
    }

    private InstrumentationRegistry() { }
}
