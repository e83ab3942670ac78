package io.qsredge.core

import java.nio.ByteBuffer

/**
 * R, G, B of each pixel in turn to a plane of R, one of G and one of B.
 *
 * @param interleaved [pixels] * 3 bytes from index 0 on.
 * @param planes has room for as many; neither position is used or changed.
 */
@InternalQsrApi
public fun toPlanes(
    interleaved: ByteBuffer,
    planes: ByteBuffer,
    pixels: Int,
) {
    for (channel in 0 until CHANNELS) {
        val start = channel * pixels
        for (pixel in 0 until pixels) planes.put(start + pixel, interleaved.get(pixel * CHANNELS + channel))
    }
}

/** The inverse of [toPlanes]. */
@InternalQsrApi
public fun fromPlanes(
    planes: ByteBuffer,
    interleaved: ByteBuffer,
    pixels: Int,
) {
    for (channel in 0 until CHANNELS) {
        val start = channel * pixels
        for (pixel in 0 until pixels) interleaved.put(pixel * CHANNELS + channel, planes.get(start + pixel))
    }
}
