package android.view;

/** A stand-in. */
public abstract class Window {
    private int flags;

    public void addFlags(int flags) { this.flags |= flags; }

    public int flags() { return flags; }
}
