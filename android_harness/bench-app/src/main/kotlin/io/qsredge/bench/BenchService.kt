package io.qsredge.bench

import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.Service
import android.content.Intent
import android.os.IBinder

/** Holds the process while a part runs: Android 14 stops one ten seconds after nothing of it is seen, wake lock or not. */
class BenchService : Service() {
    override fun onBind(intent: Intent?): IBinder? = null

    override fun onStartCommand(
        intent: Intent?,
        flags: Int,
        startId: Int,
    ): Int {
        val channel = NotificationChannel(CHANNEL, CHANNEL, NotificationManager.IMPORTANCE_LOW)
        getSystemService(NotificationManager::class.java)?.createNotificationChannel(channel)
        val notification = Notification.Builder(this, CHANNEL).setSmallIcon(applicationInfo.icon).build()
        // Should Android refuse it, the part runs all the same, as long as the activity is seen.
        runCatching { startForeground(1, notification) }
        // A process that was ended is not to come back without its job: qsr-edge starts another part.
        return START_NOT_STICKY
    }
}

private const val CHANNEL = "Measuring"
