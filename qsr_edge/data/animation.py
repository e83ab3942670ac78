"""Animations and files of several pages, written one frame at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import IO

import numpy as np
from PIL import Image

from qsr_edge.data.decoding import FileKind, Frame
from qsr_edge.data.encoding import held, png_header, save_options, to_image
from qsr_edge.data.gif_writing import GifWriter, changed_region
from qsr_edge.data.output_format import OutputFormat
from qsr_edge.data.picture import Picture, Samples
from qsr_edge.data.png_writing import FrameBox, PngWriter
from qsr_edge.data.tiff_writing import TiffPages
from qsr_edge.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """What is known of an animation or of pages before they are read.

    Attributes:
        frame_count: how many there are, ``hidden_first`` among them.
        loops: how often an animation plays, 0 for ever.
        hidden_first: whether the first frame is shown only where animations are not.
        pages: whether they are pages, which may differ in size, and not an animation.
    """

    frame_count: int
    loops: int = 0
    hidden_first: bool = False
    pages: bool = False


def refusal_of_sequence(output: OutputFormat, sequence: Sequence) -> str:
    """Why a format cannot hold an animation or pages, and what can; empty if it can."""
    if sequence.pages and not output.pages:
        return f"{output.kind} cannot hold {sequence.frame_count} pages; use the suffix .tif"
    if not sequence.pages and not output.frames:
        return f"{output.kind} cannot hold an animation of {sequence.frame_count} frames; use .png, .webp or .gif"
    return ""


def encode_frames(
    frames: Iterator[Frame], sequence: Sequence, output: OutputFormat, file: IO[bytes], *, quality: int | None = None
) -> tuple[str, ...]:
    """Write an animation or pages; every frame is taken when it is written, and only what changed is kept.

    Each frame shows the whole picture, so how it is composed with the one before is the format's own matter: what is
    seen, and for how long, is the same.

    Args:
        frames: as many as ``sequence`` says.
        sequence: what :func:`refusal_of_sequence` does not refuse.
        output: the format.
        file: writable from its beginning, and seekable.
        quality: as for :func:`qsr_edge.data.encoding.encode`.

    Returns:
        What the format does not hold, as :func:`qsr_edge.data.encoding.encode`.

    Raises:
        ImageError: if a frame of an animation has another size than the first.
    """
    notes: list[str] = []
    if sequence.hidden_first and output.kind != FileKind.PNG:
        next(frames)
        sequence = replace(sequence, frame_count=sequence.frame_count - 1, hidden_first=False)
        notes.append(f"{output.kind} does not hold the picture that is shown where animations are not")
    kept = _held(frames, output, notes, same_size=not sequence.pages)
    match output.kind:
        case FileKind.PNG:
            _encode_png(kept, sequence, file)
        case FileKind.GIF:
            _encode_gif(kept, sequence, file)
        case FileKind.WEBP:
            _encode_webp(kept, sequence, output, file, quality)
        case _:
            with TiffPages(file) as pages:
                for frame in kept:
                    pages.write(frame.picture)
    return tuple(notes)


def _held(frames: Iterator[Frame], output: OutputFormat, notes: list[str], *, same_size: bool) -> Iterator[Frame]:
    size_px = None
    for frame in frames:
        picture, lost = held(frame.picture, output)
        notes += (note for note in lost if note not in notes)
        size_px = size_px or picture.size_px
        if same_size and picture.size_px != size_px:
            raise ImageError(f"a frame has {picture.size_px} pixels, the first has {size_px}; convert the animation")
        yield replace(frame, picture=picture)


def _encode_png(frames: Iterator[Frame], sequence: Sequence, file: IO[bytes]) -> None:
    first = next(frames)
    size_px = first.picture.size_px
    # Later frames may have what the first has not: alpha, colours.
    header = replace(
        png_header(first.picture, size_px),
        alpha=True,
        grey=False,
        frame_count=sequence.frame_count - sequence.hidden_first,
        loops=sequence.loops,
    )
    writer = PngWriter(file.write, header)
    shown: Samples | None = None
    hidden = sequence.hidden_first
    for frame in chain([first], frames):
        pixels = _rgba(frame.picture, deep=header.bits > 8)
        top, left, bottom, right = 0, 0, *pixels.shape[:2]
        if shown is not None:
            top, left, bottom, right = changed_region(shown, pixels)
        if not hidden:
            box = FrameBox(left=left, top=top, size_px=(right - left, bottom - top), duration_ms=frame.duration_ms)
            writer.begin_frame(box)
            shown = pixels
        region = pixels[top:bottom, left:right]
        writer.write_rows(region[:, :, :3], region[:, :, 3])
        hidden = False
    writer.close()


def _encode_gif(frames: Iterator[Frame], sequence: Sequence, file: IO[bytes]) -> None:
    first = next(frames)
    comment = first.picture.metadata.text[-1][1].encode() if first.picture.metadata.text else b""
    writer = GifWriter(file.write, first.picture.size_px, loops=sequence.loops, comment=comment)
    for frame in chain([first], frames):
        writer.write(frame.picture.rgb, frame.picture.alpha, frame.duration_ms)
    writer.close()


def _encode_webp(
    frames: Iterator[Frame], sequence: Sequence, output: OutputFormat, file: IO[bytes], quality: int | None
) -> None:
    first = next(frames)
    row = _FrameRow(first, frames, sequence.frame_count)
    options = save_options(first.picture, output, quality)
    row.save(file, format=output.kind, save_all=True, duration=row.durations_ms, loop=sequence.loops, **options)


class _FrameRow(Image.Image):
    """Pillow's view of frames that are made when it asks for the next one."""

    def __init__(self, first: Frame, frames: Iterator[Frame], count: int) -> None:
        super().__init__()
        self.n_frames = count
        self.durations_ms: list[int] = []
        self._frames = frames
        self._index = 0
        self._show(first)

    def _show(self, frame: Frame) -> None:
        image = to_image(replace(frame.picture, grey=False), alpha=True)
        self.im, self._mode, self._size = image.im, image.mode, image.size
        self.durations_ms.append(round(frame.duration_ms))

    def seek(self, frame: int) -> None:
        """Go on to the next frame; back to the first, which Pillow asks for at its end, is no matter."""
        if frame == self._index + 1:
            self._index = frame
            self._show(next(self._frames))


def _rgba(picture: Picture, *, deep: bool) -> Samples:
    if deep:
        alpha_16 = picture.alpha_16()
        return np.dstack(
            [picture.rgb_16(), np.full(picture.rgb.shape[:2], 0xFFFF, np.uint16) if alpha_16 is None else alpha_16]
        )
    alpha = np.full(picture.rgb.shape[:2], 0xFF, np.uint8) if picture.alpha is None else picture.alpha
    return np.dstack([picture.rgb, alpha])
