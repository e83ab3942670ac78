package android.content;

import android.content.pm.ApplicationInfo;
import android.content.res.AssetManager;
import androidx.annotation.Nullable;
import java.io.File;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public abstract class Context {
    public final <T> T getSystemService(Class<T> serviceClass) { throw new UnsupportedOperationException(); }

    public AssetManager getAssets() { throw new UnsupportedOperationException(); }

    public Context getApplicationContext() { throw new UnsupportedOperationException(); }

    public ApplicationInfo getApplicationInfo() { throw new UnsupportedOperationException(); }

    public ContentResolver getContentResolver() { throw new UnsupportedOperationException(); }

    public File getNoBackupFilesDir() { throw new UnsupportedOperationException(); }

    @Nullable public File getExternalFilesDir(String type) { throw new UnsupportedOperationException(); }

    @Nullable public Intent registerReceiver(BroadcastReceiver receiver, IntentFilter filter) { throw new UnsupportedOperationException(); }

    @Nullable public ComponentName startService(Intent service) { throw new UnsupportedOperationException(); }

    public boolean stopService(Intent service) { throw new UnsupportedOperationException(); }
}
