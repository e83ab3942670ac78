package android.os;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class Build {
    public static final String MODEL = "".trim();

    public static class VERSION_CODES {
        public static final int Q = 29;

        public static final int R = 30;
    }

    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("0");
    }
}
