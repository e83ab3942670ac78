package android.graphics;

/**
 * A stand-in. Its memory is premultiplied, as Android's is: a colour under little alpha comes back coarser, one under none not
 * at all. RGB_565 keeps five, six and five bits and no alpha. The GPU's pixels are not to be read.
 */
public final class Bitmap {
    private final int width;
    private final int height;
    private final Config config;
    private final boolean mutable;
    private final int[] memory;
    private boolean alpha;
    private boolean recycled;

    /** Bytes that bitmaps may take; what would take more is refused as Android does. */
    public static volatile long limitBytes = Long.MAX_VALUE;

    public enum Config { ALPHA_8, RGB_565, ARGB_8888, HARDWARE }

    private Bitmap(int width, int height, Config config, boolean mutable) {
        if (width <= 0 || height <= 0) throw new IllegalArgumentException("width and height must be > 0");
        if (4L * width * height > limitBytes) throw new OutOfMemoryError("Failed to allocate a bitmap");
        this.width = width;
        this.height = height;
        this.config = config;
        this.mutable = mutable;
        alpha = config != Config.RGB_565;
        memory = new int[width * height];
    }

    public static Bitmap createBitmap(int[] colors, int width, int height, Config config) {
        Bitmap made = new Bitmap(width, height, config, false);
        if (colors.length < width * height) throw new ArrayIndexOutOfBoundsException();
        made.store(colors, 0, width, 0, 0, width, height);
        return made;
    }

    public static Bitmap createBitmap(int width, int height, Config config) {
        if (config == Config.HARDWARE) throw new IllegalArgumentException("can't create mutable bitmap with Config.HARDWARE");
        return new Bitmap(width, height, config, true);
    }

    public Bitmap copy(Config config, boolean isMutable) {
        checkRecycled("Can't copy a recycled bitmap");
        if (config == Config.HARDWARE && isMutable) throw new IllegalArgumentException("Hardware bitmaps are always immutable");
        if (4L * width * height > limitBytes) return null;
        int[] colors = new int[width * height];
        load(colors, 0, width, 0, 0, width, height);
        Bitmap made = new Bitmap(width, height, config, isMutable);
        made.alpha = alpha && made.alpha;
        made.store(colors, 0, width, 0, 0, width, height);
        return made;
    }

    public final Config getConfig() { return config; }

    public final int getHeight() { return height; }

    public final int getWidth() { return width; }

    public final boolean hasAlpha() { return alpha; }

    public void setHasAlpha(boolean hasAlpha) { alpha = hasAlpha; }

    public final boolean isMutable() { return mutable; }

    public void recycle() { recycled = true; }

    public boolean isRecycled() { return recycled; }

    public void setPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        checkRecycled("Can't call setPixels() on a recycled bitmap");
        if (!mutable) throw new IllegalStateException("setPixels on an immutable bitmap");
        checkPart(pixels, offset, stride, x, y, width, height);
        store(pixels, offset, stride, x, y, width, height);
    }

    public void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        checkRecycled("Can't call getPixels() on a recycled bitmap");
        if (config == Config.HARDWARE) {
            throw new IllegalStateException("unable to getPixels(), pixel access is not supported on Config#HARDWARE bitmaps");
        }
        checkPart(pixels, offset, stride, x, y, width, height);
        load(pixels, offset, stride, x, y, width, height);
    }

    private void checkRecycled(String message) {
        if (recycled) throw new IllegalStateException(message);
    }

    private void checkPart(int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        if (x < 0 || y < 0) throw new IllegalArgumentException("x and y must be >= 0");
        if (width < 0 || height < 0) throw new IllegalArgumentException("width and height must be >= 0");
        if (x + width > this.width) throw new IllegalArgumentException("x + width must be <= bitmap.width()");
        if (y + height > this.height) throw new IllegalArgumentException("y + height must be <= bitmap.height()");
        if (Math.abs(stride) < width) throw new IllegalArgumentException("abs(stride) must be >= width");
        int last = offset + (height - 1) * stride;
        if (offset < 0 || offset + width > pixels.length || last < 0 || last + width > pixels.length) {
            throw new ArrayIndexOutOfBoundsException();
        }
    }

    private void store(int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                memory[(y + row) * this.width + x + column] = stored(pixels[offset + row * stride + column]);
            }
        }
    }

    private void load(int[] pixels, int offset, int stride, int x, int y, int width, int height) {
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                pixels[offset + row * stride + column] = loaded(memory[(y + row) * this.width + x + column]);
            }
        }
    }

    private int stored(int colour) {
        switch (config) {
            case ALPHA_8: return colour & 0xFF000000;
            case RGB_565: return colour & 0x00F8FCF8;
            default:
        }
        int a = alpha ? colour >>> 24 : 255;
        int premultiplied = a << 24;
        for (int shift = 0; shift < 24; shift += 8) premultiplied |= ((colour >> shift & 0xFF) * a + 127) / 255 << shift;
        return premultiplied;
    }

    private int loaded(int stored) {
        if (config == Config.RGB_565) {
            // The upper bits once more fill the lower ones, so that white stays white.
            return 0xFF000000 | stored | stored >> 5 & 0x070007 | stored >> 6 & 0x000300;
        }
        int a = alpha ? stored >>> 24 : 255;
        if (a == 0 || config == Config.ALPHA_8) return stored & 0xFF000000;
        int colour = a << 24;
        for (int shift = 0; shift < 24; shift += 8) colour |= Math.min(255, ((stored >> shift & 0xFF) * 255 + a / 2) / a) << shift;
        return colour;
    }
}
