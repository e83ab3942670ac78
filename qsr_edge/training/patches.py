"""Random training patches, a pure function of (seed, iteration): resuming needs no loader state."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import find_images
from qsr_edge.data.degradation import BLOCK_PX, Degradation, degraded
from qsr_edge.data.images import read_picture
from qsr_edge.data.lmdb_folder import LmdbImage, LmdbReader, is_lmdb, lmdb_images
from qsr_edge.errors import DatasetError
from qsr_edge.quant.arithmetic import IMAGE_ZERO
from qsr_edge.training.cache import cache_path, digest_of, read_cache, write_cache


@dataclass(frozen=True, slots=True, eq=False)
class ImagePair:
    """A high-resolution image and its bicubic reduction: (rH, rW, 3) and (H, W, 3) uint8, perhaps read-only."""

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]


PLAIN_LEVELS = (0, 85, 170, 255)
"""Levels of each channel in pictures of one colour: 64 colours, dull and saturated."""


def plain_pairs(side_px: int, scale: int) -> list[ImagePair]:
    """Pictures of one colour, one for each choice of three :data:`PLAIN_LEVELS`; their reductions have that colour."""
    colours = [np.array(levels, np.uint8) for levels in product(PLAIN_LEVELS, repeat=3)]
    return [ImagePair(*(np.tile(colour, (side, side, 1)) for side in (side_px * scale, side_px))) for colour in colours]


class TrainingImages(Sequence[ImagePair]):
    """Image pairs with the digest of the whole set; a slice keeps the digest of the set it is cut from.

    ``left_out`` says which images were too small, with their sizes.
    """

    def __init__(self, pairs: Sequence[ImagePair], digest: str | None = None, left_out: Sequence[str] = ()):
        """Hold ``pairs``; the digest is computed from their pixels unless it is known."""
        self._pairs = list(pairs)
        self.left_out = tuple(left_out)
        self.digest = digest_of((pair.hr, pair.lr) for pair in self._pairs) if digest is None else digest

    @overload
    def __getitem__(self, index: int) -> ImagePair: ...

    @overload
    def __getitem__(self, index: slice) -> "TrainingImages": ...

    def __getitem__(self, index: int | slice) -> "ImagePair | TrainingImages":
        """A pair, or a part of the set."""
        if isinstance(index, slice):
            return TrainingImages(self._pairs[index], self.digest, self.left_out)
        return self._pairs[index]

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._pairs)


def load_pairs(
    folders: tuple[Path, ...],
    scale: int,
    *,
    min_px: int,
    progress: Callable[[int, int], None],
    cache: Path | None = None,
) -> TrainingImages:
    """Decode every image under the folders and reduce it.

    Args:
        folders: searched recursively; or an LMDB each (:mod:`qsr_edge.data.lmdb_folder`).
        scale: reduction factor; images are cropped to a multiple of it.
        min_px: least side of the reduced image; smaller ones are skipped.
        progress: called with (images done, images in all).
        cache: folder where the decoded images are kept, and looked for first; None keeps them in memory.

    Raises:
        DatasetError: if no image is large enough, or the cache cannot be written.
    """
    # A folder given twice, or within another, must not let a held-out image be trained on.
    files = list(dict.fromkeys(source for folder in folders for source in _sources(folder.resolve())))
    left_out: list[str] = []

    def decoded() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        found = False
        for done, (source, hr) in enumerate(zip(files, _decoded(files), strict=True), start=1):
            size = f"{hr.shape[1]}x{hr.shape[0]}"
            hr = np.ascontiguousarray(hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale])
            if min(hr.shape[:2]) >= min_px * scale:
                found = True
                yield hr, np.ascontiguousarray(resize_bicubic(hr, 1 / scale))
            else:
                left_out.append(f"{source} is {size}, expected at least {min_px * scale} pixels a side")
            progress(done, len(files))
        if not found:
            raise DatasetError(
                f"no image of at least {min_px * scale} pixels a side in {', '.join(map(str, folders))}; "
                "give a folder with larger images"
            )

    if cache is None:
        pairs = [ImagePair(hr, lr) for hr, lr in decoded()]
        return TrainingImages(pairs, left_out=left_out)
    path = cache_path(cache, files, f"scale {scale}, min_px {min_px}")
    content = read_cache(path)
    if content is None:
        write_cache(path, decoded(), left_out)
        content = read_cache(path)
    if content is None:
        raise DatasetError(f"{path}: these decoded images cannot be read back; free space, or give --no-cache")
    return TrainingImages([ImagePair(hr, lr) for hr, lr in content.pairs], content.digest, content.left_out)


def _sources(folder: Path) -> tuple[Path | LmdbImage, ...]:
    if is_lmdb(folder):
        return lmdb_images(folder)
    return tuple(file.resolve() for file in find_images(folder, recursive=True))


def _decoded(sources: Sequence[Path | LmdbImage]) -> Iterator[NDArray[np.uint8]]:
    """Every image as (H, W, 3) uint8, in order; one database is open at a time."""
    for folder, group in groupby(sources, key=lambda source: source.folder if isinstance(source, LmdbImage) else None):
        if folder is None:
            yield from (read_picture(source).rgb for source in group if isinstance(source, Path))
            continue
        with closing(LmdbReader(folder)) as reader:
            yield from (reader.read(source) for source in group if isinstance(source, LmdbImage))


@dataclass(frozen=True, slots=True)
class PatchDraw:
    """Where a patch is cut out and how it is turned.

    Attributes:
        image: which pair.
        y: first row, in low-resolution pixels.
        x: first column, likewise.
        turns: quarter turns anticlockwise.
        flip: whether columns are mirrored after that.
        colours: which channel stands first, second and third.
    """

    image: int
    y: int
    x: int
    turns: int
    flip: bool
    colours: tuple[int, int, int] = (0, 1, 2)


def draw_patches(
    pairs: Sequence[ImagePair],
    rng: np.random.Generator,
    *,
    batch: int,
    patch_px: int,
    permute_colours: bool = False,
) -> tuple[PatchDraw, ...]:
    """Draw ``batch`` crops of ``patch_px`` low-resolution pixels with flips and quarter turns, perhaps new colours."""
    draws = []
    for _ in range(batch):
        image = int(rng.integers(len(pairs)))
        y, x = (int(rng.integers(size - patch_px + 1)) for size in pairs[image].lr.shape[:2])
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        red, green, blue = rng.permutation(3).tolist() if permute_colours else (0, 1, 2)
        draws.append(PatchDraw(image, y, x, turns, flip, (red, green, blue)))
    return tuple(draws)


def sample_batch(
    pairs: Sequence[ImagePair],
    rng: np.random.Generator,
    *,
    batch: int,
    patch_px: int,
    scale: int,
    permute_colours: bool = False,
    degradation: Degradation = Degradation.NONE,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Random crops as :func:`draw_patches` draws them.

    A degraded crop is cut out of a larger one that was degraded, so that JPEG's blocks lie anywhere in it.

    Returns:
        Low- and high-resolution codes (levels minus 128): (N, 3, P, P) and (N, 3, rP, rP) float32.
    """
    low = np.empty((batch, 3, patch_px, patch_px), np.float32)
    high = np.empty((batch, 3, patch_px * scale, patch_px * scale), np.float32)
    draws = draw_patches(pairs, rng, batch=batch, patch_px=patch_px, permute_colours=permute_colours)
    for i, draw in enumerate(draws):
        pair, colours = pairs[draw.image], list(draw.colours)
        if degradation is Degradation.PHOTO:
            small = _degraded_crop(pair.lr, draw, patch_px, rng)
        else:
            small = pair.lr[draw.y :, draw.x :][:patch_px, :patch_px, colours]
        large = pair.hr[draw.y * scale :, draw.x * scale :][: patch_px * scale, : patch_px * scale, colours]
        for target, crop in ((low, small), (high, large)):
            target[i] = turned(crop, draw.turns, draw.flip).transpose(2, 0, 1)
    return low - IMAGE_ZERO, high - IMAGE_ZERO


def turned(crop: NDArray[Any], turns: int, flip: bool) -> NDArray[Any]:
    """(H, W, ...) after quarter turns anticlockwise, its columns mirrored then if asked for."""
    result = np.rot90(crop, turns)
    return result[:, ::-1] if flip else result


def _degraded_crop(
    image: NDArray[np.uint8], draw: PatchDraw, patch_px: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    y, x = draw.y, draw.x
    top, left = (min(int(rng.integers(BLOCK_PX)), start) for start in (y, x))
    region = image[y - top : y + patch_px + BLOCK_PX, x - left : x + patch_px + BLOCK_PX, list(draw.colours)]
    return degraded(np.ascontiguousarray(region), rng)[top:, left:][:patch_px, :patch_px]


Drawn = TypeVar("Drawn")


class Ahead(Generic[Drawn]):
    """Draws in a thread of its own, ahead of the step that needs it; iteration i's depends on (seed, i) alone."""

    def __init__(self, draw: Callable[[np.random.Generator], Drawn], *, seed: int, first: int, ahead: int = 2):
        """Begin at iteration ``first``; ``ahead`` results of ``draw`` are kept ready."""
        self._function, self._seed, self._next = draw, seed, first
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._queue: deque[Future[tuple[Drawn, np.random.Generator]]] = deque(
            self._pool.submit(self._draw, first + i) for i in range(ahead)
        )
        self.waiting_s = 0.0
        """Seconds that :meth:`take` has waited."""

    def __enter__(self) -> Self:
        """The loader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)

    def take(self) -> tuple[Drawn, np.random.Generator]:
        """What the next iteration draws, and the generator it was drawn with, for what else the step draws."""
        self._queue.append(self._pool.submit(self._draw, self._next + len(self._queue)))
        self._next += 1
        started = time.monotonic()
        drawn = self._queue.popleft().result()
        self.waiting_s += time.monotonic() - started
        return drawn

    def _draw(self, iteration: int) -> tuple[Drawn, np.random.Generator]:
        rng = np.random.default_rng([self._seed, iteration])
        return self._function(rng), rng
