package io.qsredge.standin;

import android.app.Activity;
import android.app.Notification;
import android.app.Service;
import android.content.ComponentName;
import android.content.ContentResolver;
import android.content.Context;
import android.content.Intent;
import android.content.res.AssetManager;
import android.os.BatteryManager;
import android.os.Build;
import android.os.Bundle;
import android.os.PowerManager;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A stand-in of a phone with one app on it: what Android would keep, and what a test lets happen to it. The latest one made is
 * the one that static members (Build, SystemClock) tell of.
 */
public final class Phone implements AutoCloseable {
    /** Only a test that fails waits so long, whatever else the machine does. */
    private static final long PATIENCE_S = 300;
    private static volatile Phone current;

    public final int sdk;
    public final AppManifest manifest;
    public final PowerManager power = new PowerManager(this);
    public final BatteryManager battery = new BatteryManager();
    public final AssetManager assets = new AssetManager();
    public final ContentResolver resolver = new ContentResolver() {};
    public final File filesDir;
    public final android.app.NotificationManager notifications = new android.app.NotificationManager();

    /** Null where the shared storage is not there at the moment. */
    public volatile File externalFilesDir;

    /** What the last broadcast about the battery says; null if there was none yet. */
    public volatile Intent batteryBroadcast;

    /** Services that this phone lacks. */
    public final List<Class<?>> missing = new CopyOnWriteArrayList<>();

    /** Whether something of the app is seen. */
    public volatile boolean foreground;

    /** For what Android would have ended the app. */
    public final List<String> crashes = new CopyOnWriteArrayList<>();

    /** What runs in the foreground, by the service. */
    public final Map<Service, Notification> foregroundServices = new ConcurrentHashMap<>();

    /** Whether there is an app that picks documents, which televisions and cars may lack. */
    public volatile boolean picksDocuments = true;

    /** Requests of activities for results. */
    public final List<Intent> asked = new CopyOnWriteArrayList<>();

    private final Map<Class<?>, Service> services = new ConcurrentHashMap<>();
    private final ExecutorService mainThread;
    private final Context application;
    private int starts;

    public Phone(int sdk, File root, AppManifest manifest) {
        this.sdk = sdk;
        this.manifest = manifest;
        filesDir = new File(root, "no_backup");
        externalFilesDir = new File(root, "external");
        filesDir.mkdirs();
        externalFilesDir.mkdirs();
        mainThread = Executors.newSingleThreadExecutor(work -> {
            Thread thread = new Thread(work, "main");
            thread.setDaemon(true);
            return thread;
        });
        application = new Context() {};
        application.attach(this);
        application.getApplicationInfo().icon = manifest.icon;
        Build.VERSION.SDK_INT = sdk;
        current = this;
    }

    public static Phone current() {
        if (current == null) throw new IllegalStateException("no stand-in phone was made");
        return current;
    }

    public Context application() { return application; }

    /** What a phone of an older version does not have is not found when it is called. */
    public void since(int api, String member) {
        if (sdk < api) throw new NoSuchMethodError(member + " needs API " + api + ", this is " + sdk);
    }

    public void needs(String permission) {
        if (!manifest.permissions.contains("android.permission." + permission)) {
            throw new SecurityException("the app has no permission " + permission);
        }
    }

    public boolean onMainThread() {
        return Thread.currentThread().getName().equals("main");
    }

    public void post(Runnable work) {
        mainThread.execute(() -> {
            try {
                work.run();
            } catch (RuntimeException | Error error) {
                crashes.add(error.toString());
            }
        });
    }

    /** Do it on the main thread and wait for it; what it throws is thrown here. */
    public <T> T onMain(Callable<T> work) {
        try {
            return mainThread.submit(work).get(PATIENCE_S, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            if (error.getCause() instanceof RuntimeException) throw (RuntimeException) error.getCause();
            throw new IllegalStateException(error.getCause());
        } catch (InterruptedException | TimeoutException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Start an activity, as a launcher or `am start` does. */
    public <A extends Activity> A launch(Class<A> kind, Intent intent) {
        return create(kind, intent, null);
    }

    private <A extends Activity> A create(Class<A> kind, Intent intent, Bundle saved) {
        if (!manifest.activities.contains(kind.getName())) throw new IllegalStateException(kind + " is not in the manifest");
        return onMain(() -> {
            A activity = kind.getDeclaredConstructor().newInstance();
            activity.attach(this);
            activity.attachActivity(intent);
            foreground = true;
            activity.performCreate(saved);
            activity.performResume();
            return activity;
        });
    }

    /** Something else comes in front. */
    public void pause(Activity activity) {
        foreground = false;
        onMain(() -> { activity.performPause(); return null; });
    }

    public void resume(Activity activity) {
        foreground = true;
        onMain(() -> { activity.performResume(); return null; });
    }

    /** What Android does to an activity that does not handle a change of configuration itself. */
    public <A extends Activity> A recreate(Class<A> kind, A activity) {
        destroy(activity);
        return create(kind, activity.getIntent(), new Bundle());
    }

    public void destroy(Activity activity) {
        pause(activity);
        onMain(() -> { activity.performDestroy(); return null; });
    }

    /** Android starts and stops services from the main thread, after the call that asks for it has returned. */
    public ComponentName startService(Intent intent) {
        if (sdk >= 26 && !foreground) throw new IllegalStateException("Not allowed to start service: app is in background");
        Class<?> kind = intent.component();
        if (!manifest.services.contains(kind.getName())) return null;
        post(() -> service(kind).onStartCommand(intent, 0, ++starts));
        return new ComponentName();
    }

    private Service service(Class<?> kind) {
        return services.computeIfAbsent(kind, absent -> {
            try {
                Service made = (Service) kind.getDeclaredConstructor().newInstance();
                made.attach(this);
                return made;
            } catch (ReflectiveOperationException error) {
                throw new IllegalStateException(error);
            }
        });
    }

    public boolean stopService(Intent intent) {
        boolean runs = services.containsKey(intent.component());
        post(() -> {
            Service service = services.remove(intent.component());
            if (service != null) foregroundServices.remove(service);
        });
        return runs;
    }

    /** Everything that was posted to the main thread has been done. */
    public void settle() {
        onMain(() -> null);
    }

    @Override public void close() {
        mainThread.shutdownNow();
    }
}
