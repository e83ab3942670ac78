package android.content.pm;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class PackageItemInfo {
    public int icon = 0;
}
