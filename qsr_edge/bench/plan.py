"""What a run measures: its header, made once and kept in the log, so that a resumed run measures the same."""

import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge import __version__
from qsr_edge.bench.device import Device, PlannedImage, PlannedVariant, Runner
from qsr_edge.bench.protocol.job import Effort, Gate
from qsr_edge.bench.protocol.log import Record, done_of
from qsr_edge.bench.result import SCHEMA
from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import Bundle, open_bundle
from qsr_edge.codec import Decoder
from qsr_edge.conversion.backend import model_families
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
_HEADER = Decoder(error=BenchError, takes_null=True)


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


def new_header(request: RunRequest, device: Device) -> dict[str, Any]:
    """The header of a new run.

    Raises:
        QsrError: naming what cannot be measured.
    """
    variants: list[dict[str, Any]] = []
    for path in request.bundles:
        with open_bundle(path) as bundle:
            variants += _bundle_variants(request, device, path, bundle)
    labels = [variant["label"] for variant in variants]
    if len(set(labels)) != len(labels):
        raise BenchError("two variants would have the same name; give bundles of different names, each once")
    scales = sorted({variant["scale"] for variant in variants})
    if len(scales) > 1:
        raise BenchError(f"bundles of the scale factors {', '.join(map(str, scales))} make no one comparison; "
                         "measure each in a run of its own")  # fmt: skip
    info = device.describe()
    return {
        "schema": SCHEMA,
        "run": new_run_id(info.name),
        "version": __version__,
        "runner": request.runner.value,
        "device": {key: value for key, value in asdict(info).items() if value is not None},
        "job": {
            **asdict(request.effort),
            "threads": request.threads,
            "gate": None if request.gate is None else asdict(request.gate),
        },
        "variants": variants,
        "images": [],
    }


def _bundle_variants(request: RunRequest, device: Device, path: Path, bundle: Bundle) -> list[dict[str, Any]]:
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
                raise BenchError(
                    f"{path}: no family of kernels is called {family!r} at depth {depth}; on this device it has "
                    f"{', '.join(families)}"
                )
            variants.append(
                {
                    "label": f"{path.name or path} d{depth} {family}",
                    "bundle": str(path.resolve()),
                    "bundle_sha256": bundle_sha256(manifest),
                    "name": manifest.name,
                    "target": manifest.target,
                    "depth": depth,
                    "kernels": family,
                    "runtime": manifest.runtime,
                    "bits": manifest.bits,
                    "scale": manifest.scale,
                    "height_px": height_px,
                    "width_px": width_px,
                    "check_golden": exact,
                    "model_bytes": manifest.model_bytes(entry.file),
                    "macs_per_pixel": entry.macs_per_pixel,
                    "quality": [asdict(quality) for quality in entry.quality],
                }
            )
    return variants


def bundle_sha256(manifest: Manifest) -> str:
    """Of paths and contents, the manifest itself left out: a latency table that is written into it changes nothing."""
    lines = sorted(f"{entry.sha256} {entry.path}\n" for entry in manifest.files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _size(wanted: tuple[int, int] | None, fixed: tuple[int, int] | None, path: Path) -> tuple[int, int]:
    if wanted is None:
        return fixed or DEFAULT_SIZE_PX
    if fixed is not None and wanted != fixed:
        raise BenchError(f"{path}: takes {fixed[1]}x{fixed[0]} only, got --size {wanted[1]}x{wanted[0]}")
    return wanted


def add_images(header: dict[str, Any], originals: Sequence[Path], folder: Path) -> None:
    """Reduce pictures by the run's scale factor; original and input go into the run's folder and into the header.

    Raises:
        ImageError: if one cannot be read.
        BenchError: if one is too small or too large, or two have the same name.
    """
    scale: int = header["variants"][0]["scale"]
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
    for name, original in pictures.items():
        reduced = resize_bicubic(original, 1 / scale)
        place = folder / IMAGES_FOLDER / name
        place.mkdir(parents=True)
        write_picture(place / "original.png", Picture(rgb=original, alpha=None, grey=False))
        write_picture(place / "input.png", Picture(rgb=reduced, alpha=None, grey=False))
        header["images"].append({"name": name, "height_px": reduced.shape[0], "width_px": reduced.shape[1]})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenRun:
    """A run whose bundles are open and whose pictures are read.

    Attributes:
        run: id.
        effort: of each variant.
        gate: what to wait for first.
        variants: in the order of the run; nothing of them is done.
        bundles: by variant label.
        images: as raw RGB in temporary files.
        originals: (rH, rW, 3) uint8 by picture.
        inputs: (H, W, 3) uint8 by picture.
        scale: upscaling factor of all variants.
    """

    run: str
    effort: Effort
    gate: Gate | None
    variants: tuple[PlannedVariant, ...]
    bundles: dict[str, Bundle]
    images: tuple[PlannedImage, ...]
    originals: dict[str, NDArray[np.uint8]]
    inputs: dict[str, NDArray[np.uint8]]
    scale: int


def open_run(header: Record, folder: Path, scratch: Path, stack: ExitStack) -> OpenRun:
    """Open what a header names.

    Args:
        header: of the run.
        folder: of the run.
        scratch: an empty folder for raw pictures, to be deleted by the caller.
        stack: closes the bundles.

    Raises:
        BenchError: if the header is damaged, or a bundle is another one by now.
        QsrError: if a bundle or picture is gone or damaged.
    """
    opened: dict[str, Bundle] = {}
    try:
        job = dict(header["job"])
        threads, gate = int(job.pop("threads")), job.pop("gate")
        variants = []
        for entry in header["variants"]:
            path = entry["bundle"]
            if path not in opened:
                opened[path] = stack.enter_context(open_bundle(Path(path)))
                if bundle_sha256(opened[path].manifest) != entry["bundle_sha256"]:
                    raise BenchError(f"{path}: is another bundle than the one that the run has measured; measure anew")
            variants.append(
                PlannedVariant(
                    label=entry["label"],
                    bundle=opened[path].root,
                    depth=entry["depth"],
                    kernels=entry["kernels"],
                    threads=threads,
                    height_px=entry["height_px"],
                    width_px=entry["width_px"],
                    check_golden=entry["check_golden"],
                )
            )
        images, originals, inputs = [], {}, {}
        for entry in header["images"]:
            name = entry["name"]
            place = folder / IMAGES_FOLDER / name
            originals[name], inputs[name] = (read_picture(place / f"{part}.png").rgb for part in ("original", "input"))
            raw = scratch / f"{name}.rgb"
            raw.write_bytes(inputs[name].tobytes())
            height_px, width_px = inputs[name].shape[:2]
            images.append(PlannedImage(name=name, path=raw, height_px=height_px, width_px=width_px))
        return OpenRun(
            run=header["run"],
            effort=_HEADER.decode(Effort, job, "the run's header: job"),
            gate=None if gate is None else _HEADER.decode(Gate, gate, "the run's header: gate"),
            variants=tuple(variants),
            bundles={entry["label"]: opened[entry["bundle"]] for entry in header["variants"]},
            images=tuple(images),
            originals=originals,
            inputs=inputs,
            scale=int(header["variants"][0]["scale"]),
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise BenchError(f"the run's header is damaged ({error!r}); measure anew") from error


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


def runs_here(target: str) -> bool:
    """Whether this machine has the runtime of a target."""
    try:
        find_backend(target)
    except BackendError:
        return False
    return True
