package android.graphics;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class ImageFormat {
    public static final int YUV_420_888 = 35;
}
