"""What a run measures: its header, made once and kept in the log, so that a resumed run measures the same."""

import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge import __version__
from qsr_edge.bench.device import Device, Runner
from qsr_edge.bench.protocol.header import SCHEMA, HeaderImage, RecordedQuality, RunEffort, RunHeader, Variant
from qsr_edge.bench.protocol.job import Effort, Gate, JobImage, JobVariant
from qsr_edge.bench.protocol.log import done_of
from qsr_edge.bench.protocol.records import Record
from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import Bundle, open_bundle
from qsr_edge.conversion.backend import model_families, optional_families
from qsr_edge.conversion.registry import find_backend, registered_backend
from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.images import read_picture, write_picture
from qsr_edge.data.picture import Picture
from qsr_edge.errors import BackendError, BenchError

DEFAULT_SIZE_PX = (180, 320)
MIN_ORIGINAL_PX = 64
MAX_ORIGINAL_PIXELS = 4 << 20
"""Pictures show quality, not speed; a run upscales each with every variant."""
IMAGES_FOLDER = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a user asked for.

    Attributes:
        bundles: folders or archives.
        depths: numbers of blocks; empty for all.
        kernels: families of kernels; empty for each runtime's default.
        threads: of the runtimes.
        size_px: (height, width) of the timed input; None for the bundle's, or a default.
        effort: of each variant.
        gate: what to wait for first.
        originals: pictures that are reduced, upscaled on the device, and compared.
        runner: what runs the models on a phone.
    """

    bundles: tuple[Path, ...]
    depths: tuple[int, ...]
    kernels: tuple[str, ...]
    threads: int
    size_px: tuple[int, int] | None
    effort: Effort
    gate: Gate | None
    originals: tuple[Path, ...]
    runner: Runner = Runner.APP


def new_run_id(device: str) -> str:
    """Time, a name of the device and a few random digits: unique, and a folder's name everywhere."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", device).strip("-").lower()[:16] or "device"
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{plain}-{secrets.token_hex(2)}"


def new_header(request: RunRequest, device: Device) -> RunHeader:
    """The header of a new run; it has no pictures yet.

    Raises:
        QsrError: naming what cannot be measured.
    """
    variants: list[Variant] = []
    for path in request.bundles:
        with open_bundle(path) as bundle:
            variants += _bundle_variants(request, device, path, bundle)
    labels = [variant.label for variant in variants]
    if len(set(labels)) != len(labels):
        raise BenchError("two variants would have the same name; give bundles of different names, each once")
    scales = sorted({variant.scale for variant in variants})
    if len(scales) > 1:
        raise BenchError(f"bundles of the scale factors {', '.join(map(str, scales))} make no one comparison; "
                         "measure each in a run of its own")  # fmt: skip
    info = device.describe()
    return RunHeader(
        schema=SCHEMA,
        run=new_run_id(info.name),
        version=__version__,
        runner=request.runner.value,
        device=info,
        job=RunEffort.of(request.effort, request.threads, request.gate),
        variants=tuple(variants),
    )


def _bundle_variants(request: RunRequest, device: Device, path: Path, bundle: Bundle) -> list[Variant]:
    manifest = bundle.manifest
    offered = device.kernel_families(manifest.target)
    backend = registered_backend(manifest.target)
    height_px, width_px = _size(request.size_px, manifest.input_size_px, path)
    exact = manifest.deployment is None or manifest.deployment.byte_exact
    variants = []
    for depth in request.depths or [entry.depth for entry in manifest.depths]:
        entry = manifest.depth_entry(depth)
        families = model_families(backend, bundle.root / entry.file, depth, offered)
        for family in request.kernels or families[:1]:
            if family not in families:
                only = family in optional_families(backend)
                wrong = (
                    f"the kernels {family} check bytes (qsr-edge convert --verify {family}), their time tells nothing"
                    if only
                    else f"no family of kernels is called {family!r} at depth {depth}"
                )
                raise BenchError(f"{path}: {wrong}; on this device it has {', '.join(families)}")
            variants.append(
                Variant(
                    label=f"{path.name or path} d{depth} {family}",
                    bundle=str(path.resolve()),
                    bundle_sha256=bundle_sha256(manifest),
                    name=manifest.name,
                    target=manifest.target,
                    depth=depth,
                    kernels=family,
                    runtime=manifest.runtime,
                    bits=manifest.bits,
                    scale=manifest.scale,
                    height_px=height_px,
                    width_px=width_px,
                    check_golden=exact,
                    model_bytes=manifest.run_bytes(depth),
                    macs_per_pixel=entry.macs_per_pixel,
                    quality=tuple(
                        RecordedQuality(dataset=each.dataset, psnr_db=each.psnr_db, ssim=each.ssim, images=each.images)
                        for each in entry.quality
                    ),
                )
            )
    return variants


def bundle_sha256(manifest: Manifest) -> str:
    """The SHA-256 of a bundle's paths and contents, without its manifest, which a bench may write into."""
    lines = sorted(f"{entry.sha256} {entry.path}\n" for entry in manifest.files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _size(wanted: tuple[int, int] | None, fixed: tuple[int, int] | None, path: Path) -> tuple[int, int]:
    if wanted is None:
        return fixed or DEFAULT_SIZE_PX
    if fixed is not None and wanted != fixed:
        raise BenchError(f"{path}: takes {fixed[1]}x{fixed[0]} only, got --size {wanted[1]}x{wanted[0]}")
    return wanted


def add_images(header: RunHeader, originals: Sequence[Path], folder: Path) -> RunHeader:
    """Reduce pictures by the run's scale factor; original and input go into the run's folder.

    Returns:
        The header with the pictures.

    Raises:
        ImageError: if one cannot be read.
        BenchError: if one is too small or too large, or two have the same name.
    """
    scale = header.variants[0].scale
    pictures: dict[str, NDArray[np.uint8]] = {}
    for path in originals:
        rgb = read_picture(path).rgb
        height, width = (size - size % scale for size in rgb.shape[:2])
        if min(height, width) < MIN_ORIGINAL_PX or height * width > MAX_ORIGINAL_PIXELS:
            raise BenchError(
                f"{path}: {rgb.shape[1]}x{rgb.shape[0]} pixels, expected at least {MIN_ORIGINAL_PX} a side and at most "
                f"{MAX_ORIGINAL_PIXELS:,} in all; crop it, or name another"
            )
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-")[:40] or "picture"
        if name.casefold() in [other.casefold() for other in pictures]:  # one file where cases make no difference
            raise BenchError(f"{path}: a second picture called {name}; rename one")
        pictures[name] = np.ascontiguousarray(rgb[:height, :width])
    # Nothing is written before all can be used.
    images = []
    for name, original in pictures.items():
        reduced = resize_bicubic(original, 1 / scale)
        place = folder / IMAGES_FOLDER / name
        place.mkdir(parents=True)
        write_picture(place / "original.png", Picture(rgb=original, alpha=None, grey=False))
        write_picture(place / "input.png", Picture(rgb=reduced, alpha=None, grey=False))
        images.append(HeaderImage(name=name, height_px=reduced.shape[0], width_px=reduced.shape[1]))
    return replace(header, images=tuple(images))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenRun:
    """A run whose bundles are open and whose pictures are read.

    Attributes:
        run: id.
        effort: of each variant.
        gate: what to wait for first.
        variants: in the order of the run, on this machine; nothing of them is done.
        bundles: by variant label.
        images: as raw RGB in temporary files.
        originals: (rH, rW, 3) uint8 by picture.
        inputs: (H, W, 3) uint8 by picture.
        scale: upscaling factor of all variants.
    """

    run: str
    effort: Effort
    gate: Gate | None
    variants: tuple[JobVariant, ...]
    bundles: dict[str, Bundle]
    images: tuple[JobImage, ...]
    originals: dict[str, NDArray[np.uint8]]
    inputs: dict[str, NDArray[np.uint8]]
    scale: int


def open_run(header: RunHeader, folder: Path, scratch: Path, stack: ExitStack) -> OpenRun:
    """Open what a header names.

    Args:
        header: of the run.
        folder: of the run.
        scratch: an empty folder for raw pictures, to be deleted by the caller.
        stack: closes the bundles.

    Raises:
        BenchError: if the header lacks what a run needs, or a bundle is another one by now.
        QsrError: if a bundle or picture is gone or damaged.
    """
    effort, threads = header.job.effort(), header.job.threads
    if threads is None or not all(variant.bundle and variant.bundle_sha256 for variant in header.variants):
        raise BenchError("the run's header is damaged (it lacks threads or bundles); measure anew")
    opened: dict[str, Bundle] = {}
    for path, sha256 in {variant.bundle: variant.bundle_sha256 for variant in header.variants}.items():
        opened[path] = stack.enter_context(open_bundle(Path(path)))
        if bundle_sha256(opened[path].manifest) != sha256:
            raise BenchError(f"{path}: is another bundle than the one that the run has measured; measure anew")
    images, originals, inputs = [], {}, {}
    for name in (image.name for image in header.images):
        place = folder / IMAGES_FOLDER / name
        originals[name], inputs[name] = (read_picture(place / f"{part}.png").rgb for part in ("original", "input"))
        raw = scratch / f"{name}.rgb"
        raw.write_bytes(inputs[name].tobytes())
        height_px, width_px = inputs[name].shape[:2]
        images.append(JobImage(name=name, path=str(raw), height_px=height_px, width_px=width_px))
    return OpenRun(
        run=header.run,
        effort=effort,
        gate=header.job.gate,
        variants=tuple(
            JobVariant(
                label=variant.label,
                bundle=str(opened[variant.bundle].root),
                depth=variant.depth,
                kernels=variant.kernels,
                threads=threads,
                height_px=variant.height_px,
                width_px=variant.width_px,
                check_golden=variant.check_golden,
            )
            for variant in header.variants
        ),
        bundles={variant.label: opened[variant.bundle] for variant in header.variants},
        images=tuple(images),
        originals=originals,
        inputs=inputs,
        scale=header.variants[0].scale,
    )


def share_done(run: OpenRun, records: Sequence[Record]) -> float:
    """How much of a run its records hold, 0 to 1: the mean over variants of what is least advanced of each."""
    shares = []
    for variant in run.variants:
        done = done_of(variant.label, records)
        effort = run.effort
        parts = [done.queries / effort.queries, done.steady_us / (1000 * effort.steady_ms) if effort.steady_ms else 1.0]
        steady = min(1.0, *parts)
        if not effort.sustained_ms:
            shares.append(steady)
            continue
        weight = effort.steady_ms / (effort.steady_ms + effort.sustained_ms)
        shares.append(weight * steady + (1 - weight) * min(1.0, done.sustained_ms / effort.sustained_ms))
    return sum(shares) / len(shares)


def least_length_ms(effort: Effort, variants: int) -> int:
    """How long a run takes at least, without loading, pictures, and waiting for the device to cool."""
    return variants * (effort.warm_up_ms + effort.steady_ms + effort.sustained_ms)


def runs_here(target: str) -> bool:
    """Whether this machine has the runtime of a target."""
    try:
        find_backend(target)
    except BackendError:
        return False
    return True
