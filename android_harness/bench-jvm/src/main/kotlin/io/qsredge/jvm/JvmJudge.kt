package io.qsredge.jvm

import io.qsredge.core.BundleException
import io.qsredge.core.QsrBundle
import java.io.File

/**
 * Whether the library accepts zipped bundles: `JvmJudgeKt STORAGE ZIP...` prints a line for each, the folder that it was
 * installed in or why not. Each has a storage of its own: what is installed already is not looked at again.
 */
fun main(arguments: Array<String>) {
    val storage = File(arguments[0])
    for (path in arguments.drop(1)) {
        val verdict =
            try {
                "accepted ${QsrBundle.installZip(File(path), storage.resolve(File(path).name)).root}"
            } catch (error: BundleException) {
                "refused ${error.message}"
            }
        println(verdict)
    }
}
