package android.content;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public final class ComponentName {
}
