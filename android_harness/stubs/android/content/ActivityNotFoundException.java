package android.content;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class ActivityNotFoundException extends RuntimeException {
    public ActivityNotFoundException(String name) { throw new UnsupportedOperationException(); }
}
