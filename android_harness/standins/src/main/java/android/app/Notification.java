package android.app;

import android.content.Context;

/** A stand-in. */
public class Notification {
    private final String channel;
    private final int icon;

    private Notification(String channel, int icon) {
        this.channel = channel;
        this.icon = icon;
    }

    public String getChannelId() { return channel; }

    public int icon() { return icon; }

    public static class Builder {
        private final String channel;
        private int icon;

        public Builder(Context context, String channelId) { channel = channelId; }

        public Builder setSmallIcon(int icon) {
            this.icon = icon;
            return this;
        }

        public Notification build() { return new Notification(channel, icon); }
    }
}
