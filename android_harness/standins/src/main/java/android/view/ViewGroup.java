package android.view;

import android.content.Context;
import java.util.ArrayList;
import java.util.List;

/** A stand-in. */
public abstract class ViewGroup extends View {
    public final List<View> children = new ArrayList<>();

    public ViewGroup(Context context) { super(context); }

    public void addView(View child) {
        if (children.contains(child)) throw new IllegalStateException("The specified child already has a parent.");
        children.add(child);
    }
}
