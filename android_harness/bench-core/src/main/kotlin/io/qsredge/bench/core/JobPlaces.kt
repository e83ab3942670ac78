package io.qsredge.bench.core

import java.io.File

/**
 * Where jobs may come from and results may go. An app that anybody can start with a path must not be made to read or write
 * elsewhere: below [jobs] only the shell of adb writes, and below [results] lies nothing but results.
 *
 * @param jobs absolute folder.
 * @param results absolute folders, one for each name that the place has.
 */
class JobPlaces(
    private val jobs: String,
    private val results: List<String>,
) {
    /** Why a job's file may not be read, or null. */
    fun refusalOfJob(file: File): String? =
        if (isBelow(file.path, jobs)) null else "${file.path}: no job of qsr-edge, which lie below $jobs"

    /** Why a job may not write to all of these files and folders, or null. */
    fun refusalOfResults(paths: List<String>): String? =
        paths
            .firstOrNull { path -> results.none { isBelow(path, it) } }
            ?.let { "$it: results may go below ${results.first()} only" }

    // By name, not by what links lead to: /sdcard is one on every phone.
    private fun isBelow(
        path: String,
        folder: String,
    ): Boolean = path.startsWith("$folder/") && path.split('/').none { it == ".." }

    companion object {
        private const val JOBS = "/data/local/tmp/qsr-edge"
        private const val RESULTS = "/sdcard/Android/data/io.qsredge.bench/files"

        /** Those of the protocol, for the benchmark app; [own] is what the phone calls its folder of external files. */
        fun ofApp(own: String?): JobPlaces = JobPlaces(JOBS, listOfNotNull(RESULTS, own))
    }
}
