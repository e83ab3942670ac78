package io.qsredge.jvm

import io.qsredge.bench.core.AgentDevice
import io.qsredge.bench.core.BenchAgent
import io.qsredge.bench.core.Condition
import io.qsredge.bench.core.SystemFiles
import java.io.File
import kotlin.system.exitProcess

/** This machine, whose models run in the process [worker]. */
class HostDevice(
    private val worker: String,
) : AgentDevice {
    private val files = SystemFiles()

    override fun condition() =
        Condition(
            temperatureMc = files.temperatureMc(),
            pluggedIn = files.pluggedIn(),
            loadMilli = files.loadMilli(),
            cpuKhz = files.cpuKhz(),
        )

    override fun peakBytes(): Long? = files.peakBytes(worker)
}

/**
 * The agent of the benchmark app on the JVM: `JvmAgentKt JOB.json`. The exit code is 0 if the job went through.
 *
 * System properties: `qsr.python` with qsr-edge installed, `qsr.worker` the script that it runs, `qsr.target` of the bundles.
 */
fun main(arguments: Array<String>) {
    if (arguments.size != 1) {
        System.err.println("usage: run_jvm_agent.sh JOB.json")
        exitProcess(2)
    }
    val outcome =
        ProcessBackend(
            System.getProperty("qsr.target", "tflite"),
            System.getProperty("qsr.python", "python3"),
            System.getProperty("qsr.worker"),
            // On a phone a runtime that crashes takes the app with it.
            onEnd = { Runtime.getRuntime().halt(1) },
        ).use { backend ->
            BenchAgent("qsr-edge-jvm-agent", listOf(backend), HostDevice(backend.pid)).run(File(arguments[0]))
        }
    outcome.message?.let { System.err.println("error: $it") }
    exitProcess(if (outcome.complete) 0 else 1)
}
