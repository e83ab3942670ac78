"""The pictures of runs, lossless and small enough to be part of a page.

Equal pictures are kept once: a network's outputs are the same bytes on every runtime that is right. What would be too
large is cropped to the region with the most detail, the same one in all versions of an image.
"""

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import read_picture
from qsr_edge.errors import BenchError, ImageError
from qsr_edge.report.run import Run, headings

BUDGET_BYTES = 3_000_000
"""The most that all pictures of a page take, as base64: with the rest, a page that mail and chat still accept."""
MIN_SIDE_PX = 96
"""A crop is never smaller, even if the budget is exceeded."""
MAX_SIDE_PX = 1024
MAX_IMAGES = 12
_SHRINK = 0.85
_DETAIL_STEPS = 24
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an image.

    Attributes:
        id: of the picture's bytes; versions with equal pixels share it.
        label: for people, such as ``4-bit tflite, depth 8``.
        group: the heading it stands under in a choice.
        psnr_db: against the original, if it was measured.
        depth: of the network, or None for input and original.
    """

    id: str
    label: str
    group: str
    psnr_db: float | None
    depth: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """An image in all its versions, of one size.

    Attributes:
        name: of the image.
        height_px, width_px: of what is shown.
        full_height_px, full_width_px: of the whole image.
        top_px, left_px: of the region in the whole image.
        scale: upscaling factor.
        versions: input (nearest, bicubic), networks, original.
    """

    name: str
    height_px: int
    width_px: int
    full_height_px: int
    full_width_px: int
    top_px: int
    left_px: int
    scale: int
    versions: tuple[Version, ...]

    @property
    def cropped(self) -> bool:
        """Whether only a region is shown."""
        return (self.height_px, self.width_px) != (self.full_height_px, self.full_width_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A picture of the page.

    Attributes:
        id: of its bytes.
        uri: ``data:image/webp;base64,...``, lossless.
        height_px, width_px: its size.
    """

    id: str
    uri: str
    height_px: int
    width_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """All pictures of a page.

    Attributes:
        images: by name and size.
        pictures: what they refer to.
        problems: pictures that could not be shown, a sentence each.
    """

    images: tuple[Comparable, ...]
    pictures: tuple[Encoded, ...]
    problems: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Source:
    """An image before it is cropped: the label, group, PSNR and depth of each version with its pixels."""

    name: str
    scale: int
    input: Pixels
    original: Pixels | None
    outputs: list[tuple[str, str, float | None, int, Pixels]]


def gather(runs: Sequence[Run], budget_bytes: int = BUDGET_BYTES) -> Gallery:
    """Read the pictures of runs and encode them within a budget.

    A picture that is missing or damaged is left out and named in ``problems``: figures are worth a page without it.

    Raises:
        BenchError: if a run names a picture outside its folder.
    """
    problems: list[str] = []
    sources: dict[tuple[str, int, str], _Source] = {}
    for run, heading in zip(runs, headings(runs), strict=True):
        for name in run.images:
            _add_source(run, name, heading if len(runs) > 1 else "Networks", sources, problems)
    found = list(sources.values())[:MAX_IMAGES]
    if len(sources) > MAX_IMAGES:
        problems.append(f"{len(sources) - MAX_IMAGES} more images are not shown: a page holds {MAX_IMAGES}.")
    share = budget_bytes // max(1, len(found))
    images, pictures = [], dict[str, Encoded]()
    for source in found:
        image, encoded = _fit(source, share)
        images.append(image)
        pictures |= {picture.id: picture for picture in encoded}
    return Gallery(images=tuple(images), pictures=tuple(pictures.values()), problems=tuple(problems))


def _inside(run: Run, relative: str) -> Path:
    path = (run.folder / relative).resolve()
    if not path.is_relative_to(run.folder.resolve()):
        raise BenchError(f"{run.folder}: names the picture {relative[:100]!r} outside its folder; measure anew")
    return path


def _add_source(
    run: Run, name: str, group: str, sources: dict[tuple[str, int, str], _Source], problems: list[str]
) -> None:
    made = [(variant, image) for variant in run.variants for image in variant.images if image.image == name]
    made = [(variant, image) for variant, image in made if image.picture]
    if not made:
        return
    try:
        small = _read(_inside(run, f"images/{name}/input.png"))
        original_path = _inside(run, f"images/{name}/original.png")
        original = _read(original_path) if original_path.exists() else None
    except ImageError as error:
        problems.append(f"{run.title}, {name}: {error}.")
        return
    for variant, image in made:
        try:
            pixels = _read(_inside(run, image.picture or ""))
        except ImageError as error:
            problems.append(f"{run.title}, {name}, {variant.label}: {error}.")
            continue
        expected = (small.shape[0] * variant.scale, small.shape[1] * variant.scale)
        if pixels.shape[:2] != expected:
            problems.append(
                f"{run.title}, {name}, {variant.label}: the picture has {pixels.shape[1]}×{pixels.shape[0]} pixels, "
                f"expected {expected[1]}×{expected[0]}."
            )
            continue
        key = (name, variant.scale, _digest(small))
        if key not in sources:
            sources[key] = _Source(name=name, scale=variant.scale, input=small, original=None, outputs=[])
        source = sources[key]
        if source.original is None and original is not None and original.shape == pixels.shape:
            source.original = original
        label = f"{variant.series}, depth {variant.depth}"
        if any((label, group) == output[:2] for output in source.outputs):
            label = variant.label
        source.outputs.append((label, group, image.psnr_db, variant.depth, pixels))


def _read(path: Path) -> Pixels:
    picture = read_picture(path)
    return picture.rgb


def _digest(pixels: Pixels) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]


def _fit(source: _Source, budget_bytes: int) -> tuple[Comparable, list[Encoded]]:
    """Crop to the largest region, of the whole image's shape, whose versions fit the budget."""
    height, width = source.input.shape[0] * source.scale, source.input.shape[1] * source.scale
    bicubic = resize_bicubic(source.input, source.scale)
    detail = source.original if source.original is not None else source.outputs[-1][4]
    share = min(1.0, MAX_SIDE_PX / max(height, width))
    while True:
        box = _region(detail, share, source.scale)
        encoded = _encode(source, bicubic, box)
        size = sum(len(picture.uri) for picture in encoded.values())
        if size <= budget_bytes or min(box[2] - box[0], box[3] - box[1]) <= MIN_SIDE_PX:
            break
        # Bytes go with area; a little less, as the region with the most detail is denser than the rest.
        share *= min(_SHRINK, (budget_bytes / size) ** 0.5 * 0.95)
    top, left, bottom, right = box
    versions = [
        Version(id=name, label=f"input, {method}", group="Input", psnr_db=None, depth=None)
        for method, name in (
            ("nearest", _id(source.input, box, source.scale)),
            ("bicubic", _id(bicubic, box)),
        )
    ]
    for label, group, psnr_db, depth, pixels in source.outputs:
        version = Version(id=_id(pixels, box), label=label, group=group, psnr_db=psnr_db, depth=depth)
        versions.append(version)
    if source.original is not None:
        name = _id(source.original, box)
        versions.append(Version(id=name, label="original", group="Reference", psnr_db=None, depth=None))
    image = Comparable(
        name=source.name,
        height_px=bottom - top,
        width_px=right - left,
        full_height_px=height,
        full_width_px=width,
        top_px=top,
        left_px=left,
        scale=source.scale,
        versions=tuple(versions),
    )
    return image, list(encoded.values())


def _region(detail: Pixels, share: float, scale: int) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of the region with the most detail, aligned to whole input pixels.

    Detail is the mean absolute difference of neighbouring pixels' luma.
    """
    height, width = detail.shape[:2]

    def side(length: int) -> int:
        wanted = max(min(length, MIN_SIDE_PX), round(length * share))
        return min(length, -(-wanted // scale) * scale)

    rows, columns = side(height), side(width)
    if (rows, columns) == (height, width):
        return 0, 0, height, width
    plane = detail.mean(axis=2)
    energy = np.zeros((height + 1, width + 1))
    energy[1:-1, 1:] += np.abs(np.diff(plane, axis=0))
    energy[1:, 1:-1] += np.abs(np.diff(plane, axis=1))
    total = energy.cumsum(axis=0).cumsum(axis=1)

    def starts(free: int) -> list[int]:
        step = max(scale, free // _DETAIL_STEPS // scale * scale)
        return list(range(0, free + 1, step))

    _, top, left = max(
        (total[t + rows, le + columns] - total[t, le + columns] - total[t + rows, le] + total[t, le], t, le)
        for t in starts(height - rows)
        for le in starts(width - columns)
    )
    return top, left, top + rows, left + columns


def _crop(pixels: Pixels, box: tuple[int, int, int, int], divisor: int = 1) -> Pixels:
    top, left, bottom, right = (side // divisor for side in box)
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def _id(pixels: Pixels, box: tuple[int, int, int, int], divisor: int = 1) -> str:
    return _digest(_crop(pixels, box, divisor))


def _encode(source: _Source, bicubic: Pixels, box: tuple[int, int, int, int]) -> dict[str, Encoded]:
    crops = [_crop(source.input, box, source.scale), _crop(bicubic, box)]
    crops += [_crop(pixels, box) for *_, pixels in source.outputs]
    if source.original is not None:
        crops.append(_crop(source.original, box))
    unique = {_digest(crop): crop for crop in crops}
    return {name: _webp(name, crop) for name, crop in unique.items()}


def _webp(name: str, pixels: Pixels) -> Encoded:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=60, method=4)
    uri = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    return Encoded(id=name, uri=uri, height_px=pixels.shape[0], width_px=pixels.shape[1])
