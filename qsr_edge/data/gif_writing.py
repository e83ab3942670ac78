"""GIF, frame by frame: Pillow codes each frame, and holds no other.

A GIF cannot make a pixel transparent again that was drawn; it can only clear a frame's region after showing it. So a
frame is written when the next one is known: whole and to be cleared if that has transparent pixels, else as the region
that changed.
"""

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from qsr_edge.data.picture import Samples

# One index is left for transparency.
_COLOURS = 255
_TRANSPARENT = 255

_OPAQUE_FROM = 128
"""Alpha from here on is shown: GIF knows opaque and transparent only."""

# GIF89a, 23: what becomes of a frame's region after it was shown.
_LEAVE = 1
_CLEAR = 2

_SUB_BLOCK_BYTES = 255
_LONGEST_DELAY = 0xFFFF


class GifWriter:
    """Writes one GIF, frames from first to last."""

    def __init__(
        self, sink: Callable[[bytes], object], size_px: tuple[int, int], *, loops: int, comment: bytes = b""
    ) -> None:
        """Write the header.

        Args:
            sink: takes the file's bytes.
            size_px: (width, height) of every frame.
            loops: how often an animation plays, 0 for ever; 1 for a picture.
            comment: put into the file, if there is any.
        """
        self._sink = sink
        self._waiting: tuple[NDArray[np.uint8], float] | None = None
        self._shown: NDArray[np.uint8] | None = None
        sink(b"GIF89a" + struct.pack("<HHBBB", *size_px, 0, 0, 0))
        if loops != 1:
            # Netscape's extension counts repetitions; 0 is for ever.
            sink(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", min(max(0, loops - 1), 0xFFFF)) + b"\0")
        if comment:
            blocks = [comment[at : at + _SUB_BLOCK_BYTES] for at in range(0, len(comment), _SUB_BLOCK_BYTES)]
            sink(b"!\xfe" + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0")

    def write(self, rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, duration_ms: float) -> None:
        """Write a frame: (H, W, 3), and (H, W) of which half and more is opaque."""
        opaque = np.full(rgb.shape[:2], True) if alpha is None else alpha >= _OPAQUE_FROM
        frame = np.dstack([np.where(opaque[:, :, np.newaxis], rgb, 0), opaque]).astype(np.uint8)
        self._write_waiting(cleared=not bool(opaque.all()))
        self._waiting = (frame, duration_ms)

    def close(self) -> None:
        """Write what is left."""
        self._write_waiting(cleared=False)
        self._sink(b";")

    def _write_waiting(self, *, cleared: bool) -> None:
        if self._waiting is None:
            return
        frame, duration_ms = self._waiting
        top, left, bottom, right = 0, 0, *frame.shape[:2]
        if self._shown is not None and not cleared:
            top, left, bottom, right = changed_region(self._shown, frame)
        region = frame[top:bottom, left:right]
        image, transparent = _indexed(region)
        # What is cleared is cleared to the transparent colour, if there is one.
        transparent |= cleared
        for part in GifImagePlugin.getdata(
            image,
            (left, top),
            duration=min(round(duration_ms / 10), _LONGEST_DELAY) * 10,
            disposal=_CLEAR if cleared else _LEAVE,
            include_color_table=True,
            **({"transparency": _TRANSPARENT} if transparent else {}),
        ):
            self._sink(part)
        self._shown = None if cleared else frame
        self._waiting = None


def changed_region(before: Samples, after: Samples) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what differs between two frames (H, W, C); one pixel if nothing does."""
    changed = (before != after).any(axis=2)
    rows, columns = changed.any(axis=1).nonzero()[0], changed.any(axis=0).nonzero()[0]
    if not rows.size:
        return 0, 0, 1, 1
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _indexed(frame: NDArray[np.uint8]) -> tuple[Image.Image, bool]:
    """A palette image of (H, W, 4), whose last channel is 1 where it is opaque; and whether anything is not."""
    opaque = frame[:, :, 3] > 0
    image = Image.fromarray(np.ascontiguousarray(frame[:, :, :3]))
    indexed = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)
    if image.getcolors(_COLOURS) is None:
        indexed = image.quantize(palette=indexed, dither=Image.Dither.FLOYDSTEINBERG)
    if opaque.all():
        return indexed, False
    palette = (indexed.getpalette() or [])[: 3 * _COLOURS]
    marked = Image.fromarray(np.where(opaque, np.asarray(indexed), _TRANSPARENT).astype(np.uint8), "P")
    marked.putpalette(palette + [0] * (3 * 256 - len(palette)))
    return marked, True
