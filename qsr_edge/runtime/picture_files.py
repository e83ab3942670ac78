"""From a picture's file to the file of the upscaled one: reading, the network and writing, side by side where they can.

PNG is written row by row in a thread of its own while the network runs, and the next file can be read in another; both
leave Python's lock free while they compress and decode.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from qsr_edge.data.animation import Sequence, encode_frames, refusal_of_sequence
from qsr_edge.data.decoding import FileKind, Frame, PictureFile, one_picture
from qsr_edge.data.encoding import encode, held, png_header
from qsr_edge.data.images import open_pictures, reading
from qsr_edge.data.output_format import OutputFormat, refusal
from qsr_edge.data.picture import NO_METADATA, Picture
from qsr_edge.data.png_writing import PngWriter
from qsr_edge.errors import ImageError
from qsr_edge.runtime.tiler import DEFAULT_TILE_PX
from qsr_edge.runtime.upscale import LoadedDepth


class SourceFile:
    """An open file of pictures; of one picture the pixels are already read. A context manager."""

    def __init__(self, path: Path, *, content: bytes | None = None) -> None:
        """Open and, if it holds one picture, decode.

        Args:
            path: the file, or what its content is called.
            content: the bytes to read in place of the file.

        Raises:
            ImageError: as :func:`qsr_edge.data.images.read_picture`, but for files of several frames or pages.
        """
        self.path = path
        with ExitStack() as stack:
            self._opened: PictureFile = stack.enter_context(open_pictures(path, native=True, content=content))
            self.picture: Picture | None = None
            if self._opened.frame_count == 1:
                with reading(path):
                    self.picture = one_picture(self._opened)
                self._opened.close()  # lets go of the decoder's own copy of the pixels
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def kind(self) -> FileKind:
        """The file's format."""
        return self._opened.kind

    @property
    def jpeg_quality(self) -> int | None:
        """Estimated of a JPEG, 1 to 100; None of other files."""
        return self._opened.jpeg_quality

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height), upright."""
        width, height = self._opened.size_px
        return width, height

    @property
    def sequence(self) -> Sequence | None:
        """What is known of the frames or pages, if there are several."""
        opened = self._opened
        if opened.frame_count == 1:
            return None
        return Sequence(
            frame_count=opened.frame_count,
            loops=opened.loops,
            hidden_first=opened.hidden_first,
            pages=opened.kind == FileKind.TIFF,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out in reading so far, one line each."""
        return tuple(self._opened.notes)

    def frames(self) -> Iterator[Frame]:
        """Every frame or page in turn.

        Raises:
            ImageError: naming the file, if one cannot be read.
        """
        frames = self._opened.frames()
        while True:
            with reading(self.path):
                frame = next(frames, None)
            if frame is None:
                return
            yield frame


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How upscaled pictures are written.

    Attributes:
        quality: 1 to 100 for formats with loss; see :func:`qsr_edge.data.encoding.encode`.
        metadata: whether what the file told beside its pixels is written. The colour profile always is.
    """

    quality: int | None = None
    metadata: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaledFile:
    """What was done.

    Attributes:
        input_size_px: (width, height).
        output_size_px: (width, height).
        frame_count: frames or pages; 1 for a picture.
        network_seconds: spent in upscaling; a PNG is written meanwhile.
        notes: what was left out, one line each.
    """

    input_size_px: tuple[int, int]
    output_size_px: tuple[int, int]
    frame_count: int
    network_seconds: float
    notes: tuple[str, ...]


def check_output(source: SourceFile, output: OutputFormat, scale: int) -> None:
    """Refuse what the output's format cannot hold, before the work.

    Raises:
        ImageError: the message does not name the file.
    """
    translucent = source.picture is not None and source.picture.translucent
    sequence = source.sequence
    size_px = (source.size_px[0] * scale, source.size_px[1] * scale)
    why = refusal_of_sequence(output, sequence) if sequence else ""
    why = why or refusal(output, size_px, translucent=translucent)
    if why:
        raise ImageError(why)


def upscale_file(
    model: LoadedDepth,
    source: SourceFile,
    output: OutputFormat,
    file: IO[bytes],
    *,
    options: WriteOptions,
    tile_px: int = DEFAULT_TILE_PX,
    on_tile: Callable[[int, int], None] | None = None,
) -> UpscaledFile:
    """Upscale an open file of pictures into another.

    Args:
        model: the network.
        source: the pictures; what :func:`check_output` does not refuse.
        output: the format to write.
        file: writable from its beginning, and seekable.
        options: how it is written.
        tile_px: as for :meth:`LoadedDepth.upscale`.
        on_tile: called after each tile with the number of tiles done and of all tiles, over all frames.

    Raises:
        ImageError: if a frame cannot be read or upscaled, or is refused by :func:`check_output` as a picture would be.
        BackendError: if the model fails.
    """
    clock = _Clock()
    if source.picture is None:
        notes = _upscale_frames(model, source, output, file, options, tile_px, on_tile, clock)
    elif output.kind == FileKind.PNG:
        picture, notes = held(_told(source.picture, options), output)
        size_px = (picture.size_px[0] * model.scale, picture.size_px[1] * model.scale)
        writer = PngWriter(file.write, png_header(picture, size_px))
        upscaled_rows = model.upscaled_rows(picture, tile_px=tile_px, on_tile=on_tile)
        with ThreadPoolExecutor(1, "png") as thread:
            written: Future[None] | None = None
            while True:
                with clock:
                    rows = next(upscaled_rows, None)
                if written:
                    written.result()  # before the next ones wait: memory holds two bands at most
                if rows is None:
                    break
                written = thread.submit(writer.write_rows, *rows)
        writer.close()
    else:
        with clock:
            upscaled = model.upscale_picture(_told(source.picture, options), tile_px=tile_px, on_tile=on_tile)
        notes = encode(upscaled, output, file, quality=options.quality)
    return UpscaledFile(
        input_size_px=source.size_px,
        output_size_px=(source.size_px[0] * model.scale, source.size_px[1] * model.scale),
        frame_count=source.sequence.frame_count if source.sequence else 1,
        network_seconds=clock.seconds,
        notes=(*source.notes, *notes),
    )


def _upscale_frames(
    model: LoadedDepth,
    source: SourceFile,
    output: OutputFormat,
    file: IO[bytes],
    options: WriteOptions,
    tile_px: int,
    on_tile: Callable[[int, int], None] | None,
    clock: "_Clock",
) -> tuple[str, ...]:
    sequence = source.sequence
    assert sequence is not None

    def upscaled() -> Iterator[Frame]:
        for index, frame in enumerate(source.frames()):
            size_px = (frame.picture.size_px[0] * model.scale, frame.picture.size_px[1] * model.scale)
            if why := refusal(output, size_px, translucent=frame.picture.translucent):
                raise ImageError(why)

            def tell(done: int, count: int, index: int = index) -> None:
                if on_tile:
                    on_tile(index * count + done, sequence.frame_count * count)

            with clock:
                picture = model.upscale_picture(_told(frame.picture, options), tile_px=tile_px, on_tile=tell)
            yield replace(frame, picture=picture)

    return encode_frames(upscaled(), sequence, output, file, quality=options.quality)


def _told(picture: Picture, options: WriteOptions) -> Picture:
    return picture if options.metadata else replace(picture, metadata=NO_METADATA)


class _Clock:
    """Adds up the seconds within it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start
