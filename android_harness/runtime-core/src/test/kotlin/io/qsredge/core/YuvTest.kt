package io.qsredge.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.nio.ByteBuffer
import java.util.Random
import kotlin.math.abs

class YuvTest {
    private fun read(image: PixelSource): ByteArray {
        val (height, width) = image.size.let { it.heightPx to it.widthPx }
        val output = ByteBuffer.allocate(height * width * 3)
        for (row in 0 until height) image.read(row, 0, width, output)
        return output.array()
    }

    /** BT.601 in real numbers: what integers are held against. */
    private fun exact(
        range: YuvRange,
        y: Int,
        u: Int,
        v: Int,
    ): DoubleArray {
        val luma = if (range == YuvRange.FULL) y.toDouble() else (y - 16) * 255 / 219.0
        val chroma = if (range == YuvRange.FULL) 1.0 else 255 / 224.0
        val cb = (u - 128) * chroma
        val cr = (v - 128) * chroma
        // Of the luma weights 0.299 and 0.114: 2 (1 - 0.299), 2 (1 - 0.114), and what green has of both.
        val red = luma + 1.402 * cr
        val blue = luma + 1.772 * cb
        val green = luma - (0.299 * 1.402 * cr + 0.114 * 1.772 * cb) / 0.587
        return doubleArrayOf(red, green, blue).apply { for (i in indices) this[i] = this[i].coerceIn(0.0, 255.0) }
    }

    @Test
    fun everyColourIsTheNearestLevelOfTheFormula() {
        for (range in YuvRange.entries) {
            var worst = 0.0
            val luma = ByteBuffer.allocate(256 * 2)
            val chroma = listOf(ByteBuffer.allocate(128), ByteBuffer.allocate(128))
            val image =
                YuvImage(
                    Size(1, 256),
                    YuvPlane(luma, 256, 1),
                    YuvPlane(chroma[0], 128, 1),
                    YuvPlane(chroma[1], 128, 1),
                    range,
                )
            for (y in 0..255) luma.put(y, y.toByte())
            for (u in 0..255 step 3) {
                for (v in 0..255 step 5) {
                    for (i in 0 until 128) {
                        chroma[0].put(i, u.toByte())
                        chroma[1].put(i, v.toByte())
                    }
                    val found = read(image)
                    for (y in 0..255) {
                        val expected = exact(range, y, u, v)
                        for (c in 0 until 3) {
                            worst = maxOf(worst, abs(expected[c] - (found[3 * y + c].toInt() and 0xFF)))
                        }
                    }
                }
            }
            println("yuv $range: largest distance from the formula $worst levels")
            // Half a level is rounding to the nearest; the rest is that of the 16-bit factors.
            assertTrue("$range: $worst", worst < 0.51)
        }
    }

    @Test
    fun knownColours() {
        fun colour(
            range: YuvRange,
            vararg yuv: Int,
        ): List<Int> {
            val planes = yuv.map { YuvPlane(ByteBuffer.wrap(byteArrayOf(it.toByte())), 1, 1) }
            return read(YuvImage(Size(1, 1), planes[0], planes[1], planes[2], range)).map { it.toInt() and 0xFF }
        }
        // BT.601 colour bars of 100 %: white, black, red, green, blue.
        assertEquals(listOf(255, 255, 255), colour(YuvRange.LIMITED, 235, 128, 128))
        assertEquals(listOf(0, 0, 0), colour(YuvRange.LIMITED, 16, 128, 128))
        assertEquals(listOf(254, 0, 0), colour(YuvRange.LIMITED, 81, 90, 240))
        assertEquals(listOf(0, 255, 1), colour(YuvRange.LIMITED, 145, 54, 34))
        assertEquals(listOf(0, 0, 255), colour(YuvRange.LIMITED, 41, 240, 110))
        // JFIF's red, and grey, which stays what it is.
        assertEquals(listOf(254, 0, 0), colour(YuvRange.FULL, 76, 85, 255))
        for (level in 0..255) assertEquals(List(3) { level }, colour(YuvRange.FULL, level, 128, 128))
    }

    @Test
    fun stridesCropsAndPartsChangeNothing() {
        val random = Random(4)
        repeat(200) {
            val whole = Size(1 + random.nextInt(12), 1 + random.nextInt(12))
            val (rows, columns) = (whole.heightPx + 1) / 2 to (whole.widthPx + 1) / 2
            val y = ByteArray(whole.heightPx * whole.widthPx).also(random::nextBytes)
            val u = ByteArray(rows * columns).also(random::nextBytes)
            val v = ByteArray(rows * columns).also(random::nextBytes)

            fun spread(
                plane: ByteArray,
                width: Int,
                rowStride: Int,
                pixelStride: Int,
            ): YuvPlane {
                val height = plane.size / width
                // As on phones, the last row ends with its last pixel.
                val buffer = ByteBuffer.allocate((height - 1) * rowStride + (width - 1) * pixelStride + 1)
                for (i in plane.indices) buffer.put(i / width * rowStride + i % width * pixelStride, plane[i])
                return YuvPlane(buffer, rowStride, pixelStride)
            }
            val step = 1 + random.nextInt(2)
            val stride = columns * step + random.nextInt(5)
            val top = random.nextInt(whole.heightPx)
            val left = random.nextInt(whole.widthPx)
            val part = Size(1 + random.nextInt(whole.heightPx - top), 1 + random.nextInt(whole.widthPx - left))
            val strided =
                YuvImage(
                    part,
                    spread(y, whole.widthPx, whole.widthPx + random.nextInt(5), 1),
                    spread(u, columns, stride, step),
                    spread(v, columns, stride, step),
                    YuvRange.FULL,
                    top,
                    left,
                )
            val plain =
                read(
                    YuvImage(
                        whole,
                        YuvPlane(ByteBuffer.wrap(y), whole.widthPx, 1),
                        YuvPlane(ByteBuffer.wrap(u), columns, 1),
                        YuvPlane(ByteBuffer.wrap(v), columns, 1),
                    ),
                )
            val expected = ByteBuffer.allocate(part.heightPx * part.widthPx * 3)
            for (row in 0 until part.heightPx) {
                expected.put(plain, ((top + row) * whole.widthPx + left) * 3, part.widthPx * 3)
            }
            assertArrayEquals(expected.array(), read(strided))
            // Any part of a row is that part of the row.
            val from = random.nextInt(part.widthPx)
            val bytes = ByteBuffer.allocate((part.widthPx - from) * 3)
            strided.read(part.heightPx - 1, from, part.widthPx - from, bytes)
            val start = ((part.heightPx - 1) * part.widthPx + from) * 3
            assertArrayEquals(expected.array().copyOfRange(start, expected.capacity()), bytes.array())
        }
    }

    @Test
    fun planesTooSmallAreRefused() {
        fun plane(
            bytes: Int,
            row: Int,
            pixel: Int,
        ) = YuvPlane(ByteBuffer.allocate(bytes), row, pixel)
        val good = plane(6, 3, 1)
        val chroma = plane(2, 2, 1)
        YuvImage(Size(2, 3), good, chroma, chroma)
        for (wrong in listOf(plane(5, 3, 1), plane(6, 2, 1), plane(6, 3, 0))) {
            assertThrows(PixelException::class.java) { YuvImage(Size(2, 3), wrong, chroma, chroma) }
        }
        assertThrows(PixelException::class.java) { YuvImage(Size(2, 3), good, plane(1, 2, 1), chroma) }
        assertThrows(PixelException::class.java) { YuvImage(Size(2, 3), good, chroma, plane(2, 2, 2)) }
        assertThrows(PixelException::class.java) { YuvImage(Size(2, 3), good, chroma, chroma, top = 1) }
        assertThrows(PixelException::class.java) { YuvImage(Size(2, 3), good, chroma, chroma, left = -1) }
    }
}
