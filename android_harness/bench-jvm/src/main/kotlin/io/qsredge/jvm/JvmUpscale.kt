package io.qsredge.jvm

import io.qsredge.core.QsrBundle
import io.qsredge.core.QsrException
import io.qsredge.core.QsrUpscaler
import io.qsredge.core.RgbImage
import io.qsredge.core.Size
import io.qsredge.core.UpscalerOptions
import java.io.File
import kotlin.system.exitProcess

/**
 * The library's upscaler on the JVM: `JvmUpscaleKt BUNDLE STORAGE DEPTH TILE_PX IN.rgb HEIGHT WIDTH OUT.rgb`. Installs the
 * bundle (a folder or .zip) in the storage, tests every depth, upscales, and prints a line of what it found.
 */
fun main(arguments: Array<String>) {
    val (source, storage) = arguments.take(2).map(::File)
    val (depth, tile) = arguments.slice(2..3).map(String::toInt)
    val (height, width) = arguments.slice(5..6).map(String::toInt)
    try {
        val bundle =
            if (source.isFile) {
                QsrBundle.installZip(source, storage)
            } else {
                QsrBundle.install({ source.resolve(it).inputStream() }, storage)
            }
        ProcessBackend(
            bundle.manifest.target,
            System.getProperty("qsr.python", "python3"),
            System.getProperty("qsr.worker"),
        ).use { backend ->
            QsrUpscaler(bundle, backend, UpscalerOptions(depth = depth, threads = 1, tilePx = tile)).use { upscaler ->
                val tests = upscaler.selfTest()
                var tiles = 0
                val output =
                    upscaler.upscale(RgbImage(Size(height, width), File(arguments[4]).readBytes())) { _, total ->
                        tiles =
                            total
                    }
                File(arguments[7]).writeBytes(output.toByteArray())
                println("tested ${tests.map { it.depth }} equal ${tests.all { it.equal }} tiles $tiles")
            }
        }
    } catch (error: QsrException) {
        System.err.println("error: ${error.message}")
        exitProcess(1)
    }
}
