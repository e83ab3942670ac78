package android.graphics;

import androidx.annotation.Nullable;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public final class Bitmap {
    public static class Config {
        public static final Config ARGB_8888 = null;

        public static final Config HARDWARE = null;
    }

    public static Bitmap createBitmap(int[] colors, int width, int height, Config config) { throw new UnsupportedOperationException(); }

    public static Bitmap createBitmap(int width, int height, Config config) { throw new UnsupportedOperationException(); }

    @Nullable public Bitmap copy(Config config, boolean isMutable) { throw new UnsupportedOperationException(); }

    @Nullable public final Config getConfig() { throw new UnsupportedOperationException(); }

    public final int getHeight() { throw new UnsupportedOperationException(); }

    public final int getWidth() { throw new UnsupportedOperationException(); }

    public final boolean hasAlpha() { throw new UnsupportedOperationException(); }

    public void setPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) { throw new UnsupportedOperationException(); }

    public void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) { throw new UnsupportedOperationException(); }
}
