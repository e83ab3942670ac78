package android.content.pm;

/** A stand-in. */
public class PackageItemInfo {
    public int icon = 0;
}
