package androidx.annotation;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public @interface Nullable {
}
