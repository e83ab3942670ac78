package android.os;

/** Signatures only, to compile against; tests/unit/android checks them against Android's own. */
public class Build {
    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("0");
    }
}
