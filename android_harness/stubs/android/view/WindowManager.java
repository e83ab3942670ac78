package android.view;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public interface WindowManager {
    public static class LayoutParams {
        public static final int FLAG_KEEP_SCREEN_ON = 128;
    }
}
