package android.app;

import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.view.Window;
import androidx.annotation.Nullable;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class Activity extends Context {
    public static final int RESULT_OK = -1;

    protected void onCreate(Bundle savedInstanceState) { throw new UnsupportedOperationException(); }

    protected void onResume() { throw new UnsupportedOperationException(); }

    protected void onPause() { throw new UnsupportedOperationException(); }

    protected void onDestroy() { throw new UnsupportedOperationException(); }

    protected void onNewIntent(Intent intent) { throw new UnsupportedOperationException(); }

    protected void onActivityResult(int requestCode, int resultCode, Intent data) { throw new UnsupportedOperationException(); }

    public void onTrimMemory(int level) { throw new UnsupportedOperationException(); }

    public Intent getIntent() { throw new UnsupportedOperationException(); }

    @Nullable public Window getWindow() { throw new UnsupportedOperationException(); }

    public void setContentView(View view) { throw new UnsupportedOperationException(); }

    public void startActivityForResult(Intent intent, int requestCode) { throw new UnsupportedOperationException(); }

    public final void runOnUiThread(Runnable action) { throw new UnsupportedOperationException(); }
}
