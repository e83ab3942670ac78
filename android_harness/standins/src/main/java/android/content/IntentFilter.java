package android.content;

/** A stand-in. */
public class IntentFilter {
    private final String action;

    public IntentFilter(String action) { this.action = action; }

    public String action() { return action; }
}
