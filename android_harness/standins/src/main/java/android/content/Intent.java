package android.content;

import android.net.Uri;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/** A stand-in. */
public class Intent {
    public static final String ACTION_BATTERY_CHANGED = "android.intent.action.BATTERY_CHANGED";
    public static final String ACTION_OPEN_DOCUMENT = "android.intent.action.OPEN_DOCUMENT";
    public static final String CATEGORY_OPENABLE = "android.intent.category.OPENABLE";

    private final Map<String, Object> extras = new HashMap<>();
    private final Set<String> categories = new HashSet<>();
    private final Class<?> component;
    private final String action;
    private String type;
    private Uri data;

    public Intent(String action) {
        this.action = action;
        component = null;
    }

    public Intent(Context packageContext, Class<?> cls) {
        action = null;
        component = cls;
    }

    public Intent addCategory(String category) {
        categories.add(category);
        return this;
    }

    // Sets the type and takes the data away, as Android's does.
    public Intent setType(String type) {
        this.type = type;
        data = null;
        return this;
    }

    public Intent setData(Uri data) {
        this.data = data;
        type = null;
        return this;
    }

    public Intent putExtra(String name, String value) {
        extras.put(name, value);
        return this;
    }

    public Intent putExtra(String name, int value) {
        extras.put(name, value);
        return this;
    }

    public Uri getData() { return data; }

    public String getType() { return type; }

    public String getAction() { return action; }

    public Set<String> getCategories() { return categories; }

    // What is of another type is as if it were not there.
    public String getStringExtra(String name) { return extras.get(name) instanceof String ? (String) extras.get(name) : null; }

    public int getIntExtra(String name, int defaultValue) { return extras.get(name) instanceof Integer ? (int) extras.get(name) : defaultValue; }

    public Class<?> component() { return component; }
}
