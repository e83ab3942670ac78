package android.content;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class IntentFilter {
    public IntentFilter(String action) { throw new UnsupportedOperationException(); }
}
