package android.os;

/** A stand-in. */
public class Build {
    public static final String MODEL = "Stand-in".trim();

    public static class VERSION_CODES {
        public static final int Q = 29;
        public static final int R = 30;
    }

    public static class VERSION {
        /** Final on a phone; here the latest phone's. */
        public static volatile int SDK_INT = 0;
    }
}
