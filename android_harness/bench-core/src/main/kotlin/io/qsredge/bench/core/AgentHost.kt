package io.qsredge.bench.core

import io.qsredge.core.Backend
import java.io.File

/**
 * The part that runs in a process, at most one; it goes on whatever becomes of screens. For any number of threads.
 *
 * @param name of the agent and its version.
 */
class AgentHost(
    private val name: String,
) {
    /** What a screen shows. */
    val screen = BenchScreen()

    @Volatile
    private var agent: BenchAgent? = null

    /** Tell the running part of an event; nothing if none runs. */
    fun event(
        event: String,
        vararg values: Pair<String, Any?>,
    ) {
        agent?.event(event, *values)
    }

    /** Tell what Android tells by `onTrimMemory`. */
    fun trimMemory(level: Int) {
        if (level !in NOT_IN_FRONT) event("low-memory")
    }

    /** Measure a job on this thread; waits for a part that runs already. The parameters of [BenchAgent]. */
    @Synchronized
    fun measure(
        job: File,
        backend: Backend,
        device: AgentDevice,
        places: JobPlaces? = null,
    ): Outcome {
        val running = BenchAgent(name, listOf(backend), device, screen, places)
        agent = running
        try {
            return running.run(job, screen::onJob).also(screen::onOutcome)
        } finally {
            agent = null
        }
    }

    private companion object {
        /** Levels that only tell that no activity is to be seen: TRIM_MEMORY_UI_HIDDEN and TRIM_MEMORY_BACKGROUND. */
        val NOT_IN_FRONT = setOf(20, 40)
    }
}
