package android.content;

/** A stand-in. */
public final class ComponentName {
}
