package android.content.pm;

/** A stand-in. */
public class ApplicationInfo extends PackageItemInfo {
}
