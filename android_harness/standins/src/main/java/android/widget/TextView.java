package android.widget;

import android.content.Context;
import android.view.View;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A stand-in that keeps all that it showed. */
public class TextView extends View {
    public final List<String> shown = new CopyOnWriteArrayList<>();

    public TextView(Context context) { super(context); }

    public final void setText(CharSequence text) {
        checkThread();
        shown.add(text.toString());
    }
}
