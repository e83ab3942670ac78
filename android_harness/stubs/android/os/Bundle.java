package android.os;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public final class Bundle extends BaseBundle {
    public Bundle() { super(); }
}
