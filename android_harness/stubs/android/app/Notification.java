package android.app;

import android.content.Context;

/** Signatures only, to compile against; tests/unit/android_harness checks them against Android's own. */
public class Notification {
    public static class Builder {
        public Builder(Context context, String channelId) { throw new UnsupportedOperationException(); }

        public Builder setSmallIcon(int icon) { throw new UnsupportedOperationException(); }

        public Notification build() { throw new UnsupportedOperationException(); }
    }
}
