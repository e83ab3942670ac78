"""Checkpoint -> verified bundle: the main job, free of any user interface."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qsr_edge import __version__
from qsr_edge.bundle.golden import golden_image, image_sha256
from qsr_edge.bundle.layout import Deployment, Pack
from qsr_edge.bundle.manifest import DepthEntry, GoldenInput, Manifest, ParityEntry, QualityEntry
from qsr_edge.bundle.writer import check_output, write_bundle
from qsr_edge.conversion.backend import (
    Backend,
    ConvertOptions,
    Model,
    ModelMetadata,
    ModelPackage,
    Placement,
    model_contents,
)
from qsr_edge.conversion.parity import Image, OnStage, compare_with_golden, is_large, verification_images
from qsr_edge.conversion.request import check_options, checked_kernels
from qsr_edge.errors import BundleError, CheckpointError, ParityError
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork, model_name
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.variant import Variant, variant_of
from qsr_edge.selector.latency import estimated_table
from qsr_edge.selector.policy import Policy, default_policy

GOLDEN_SEED = 2023
GOLDEN_SIZE_PX = (48, 64)
INEXACT_PSNR_COST_LIMIT_DB = 0.1
"""Most that a model may lose which need not be exact.

Rounding float16 costs up to 0.02 dB on the bundled networks (docs/coreml.md); a form that is wrong, by the order of its
channels or an overflow, costs whole decibels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What was written.

    Attributes:
        manifest: of the bundle.
        parity: what verification found; empty if it was not asked for.
        placements: where operations ran, by depth and optional family of kernels.
    """

    manifest: Manifest
    parity: tuple[ParityEntry, ...]
    placements: Mapping[tuple[int, str], Placement] = field(default_factory=dict)


def model_metadata(
    checkpoint: Checkpoint, backend: Backend, *, flavor: str | None = None, author: str, licence: str
) -> ModelMetadata:
    """What the model files of a quantized network say of themselves.

    Args:
        checkpoint: the network.
        backend: that writes the files.
        flavor: of the target's arithmetic; None for its default.
        author: of the weights.
        licence: of the weights, an SPDX expression.
    """
    config = checkpoint.config
    form = backend.capabilities.flavor(flavor)
    arithmetic = "integer only" if form is None else form.arithmetic
    return ModelMetadata(
        name=model_name(config) + ("-photo" if variant_of(checkpoint.provenance) is Variant.PHOTO else ""),
        version=__version__,
        author=author,
        licence=licence,
        description=f"x{config.scale} super-resolution, {config.widths.upper()}, {arithmetic}",
    )


def recorded_quality(checkpoint: Checkpoint, depth: int) -> tuple[QualityEntry, ...]:
    """Quality that was measured on the lowered graph and recorded in the checkpoint's provenance.

    Raises:
        CheckpointError: if the record is not of its form.
    """
    rows = checkpoint.provenance.get("quality", [])
    try:
        if not isinstance(rows, list):
            raise TypeError(f"a list was expected, got {type(rows).__name__}")
        return tuple(
            QualityEntry(
                dataset=str(row["dataset"]),
                psnr_db=float(row["psnr_db"]),
                ssim=float(row["ssim"]),
                images=int(row["images"]),
            )
            for row in rows
            if int(row["depth"]) == depth
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint's record of quality is damaged ({error!r}); measure it anew") from error


def _depth_entries(
    checkpoint: Checkpoint,
    network: LoweredNetwork,
    models: Sequence[Model],
    options: ConvertOptions,
    golden: GoldenInput,
) -> tuple[DepthEntry, ...]:
    image = golden_image(golden.seed, golden.height_px, golden.width_px)
    deployment = _deployment(models)
    entries = []
    for depth, graph in network.items():
        cost = graph.cost()
        entries.append(
            DepthEntry(
                depth=depth,
                file=next(model.name for model in models if depth in model.depths),
                signature=None if options.pack is Pack.PER_DEPTH else f"d{depth}",
                macs_per_pixel=cost.macs_per_pixel,
                bops_per_pixel=cost.bops_per_pixel,
                peak_activation_bytes_per_pixel=cost.peak_activation_bytes_per_pixel,
                halo_px=cost.halo_px,
                grid=cost.grid,
                golden_sha256=image_sha256(graph.run(image)),
                # What was recorded was measured on the integer graph.
                quality=recorded_quality(checkpoint, depth) if deployment is None or deployment.byte_exact else (),
            )
        )
    return tuple(entries)


def _deployment(models: Sequence[Model]) -> Deployment | None:
    return next((model.deployment for model in models if isinstance(model, ModelPackage)), None)


def _check_parity(results: Sequence[ParityEntry], *, exact_everywhere: bool) -> None:
    """No byte may differ anywhere, or else under the default kernels, whose rounding is the golden one.

    A model that need not be exact may cost ``INEXACT_PSNR_COST_LIMIT_DB``.
    """
    default: dict[int, str] = {}
    for result in results:
        default.setdefault(result.depth, result.kernels)
        if result.max_difference is not None:
            if result.psnr_cost_db is not None and not result.psnr_cost_db <= INEXACT_PSNR_COST_LIMIT_DB:
                raise ParityError(
                    f"depth {result.depth} under {result.kernels}: costs {result.psnr_cost_db:.3f} dB against the "
                    f"golden interpreter, expected {INEXACT_PSNR_COST_LIMIT_DB} at most; nothing was written. "
                    "Use another --flavor, and please report this"
                )
            continue
        if result.mismatching_bytes and (exact_everywhere or result.kernels == default[result.depth]):
            raise ParityError(
                f"depth {result.depth} under {result.kernels}: {result.mismatching_bytes} of {result.bytes_compared} "
                "bytes differ from the golden interpreter, expected 0; nothing was written. "
                "Please report this with the runtime's version"
            )


def convert_checkpoint(
    checkpoint: Checkpoint,
    backend: Backend,
    options: ConvertOptions,
    output: Path,
    *,
    natural: Image | None,
    also: tuple[str, ...] = (),
    policy: Policy | None = None,
    force: bool = False,
    on_result: Callable[[ParityEntry], None] = lambda result: None,
    on_stage: OnStage = lambda text, done, total: None,
) -> Conversion:
    """Lower, convert, verify and write.

    Args:
        checkpoint: a quantized network.
        backend: the target, its SDK present.
        options: storage, pack, input size, metadata.
        output: folder, or file ending in ``.zip``.
        natural: (H, W, 3) uint8 photo for verification; None leaves verification out.
        also: optional families of kernels to verify besides.
        policy: of the selector; None for the default one.
        force: replace an existing bundle.
        on_result: called with each result of verification.
        on_stage: called with what is begun: writing, then each step of verification.

    Raises:
        QsrError: if any step fails; nothing is written then.
    """
    check_output(output, force=force)
    if not Path(os.path.realpath(output)).parent.is_dir():
        raise BundleError(f"{output}: there is no folder {output.parent}; make it first")
    check_options(backend, options)
    profile = checkpoint.config.profile
    also = tuple(family for name in also for family in checked_kernels(backend, name, profile, options.flavor))
    network = lower_checkpoint(checkpoint)
    depths = list(network.depths)
    policy = policy or default_policy(depths)
    policy.check_depths(depths)
    on_stage(f"writing {backend.capabilities.model_kind}s", 0, 0)
    models = backend.convert(network, options)
    parity: tuple[ParityEntry, ...] = ()
    placements: dict[tuple[int, str], Placement] = {}
    if natural is not None:
        fixed = options.input_size_px
        images = [image for size in (fixed, *options.more_sizes_px) for image in verification_images(natural, size)]
        parity = compare_with_golden(
            backend,
            network,
            models,
            tuple(images),
            on_result,
            default_only=is_large(fixed),
            also=also,
            on_placement=lambda depth, kernels, told: placements.update({(depth, kernels): told}),
            natural=natural,
            fixed_size_px=fixed,
            on_stage=on_stage,
        )
        _check_parity(parity, exact_everywhere=network.deepest.exact_everywhere)
    height_px, width_px = options.input_size_px or GOLDEN_SIZE_PX
    golden = GoldenInput(seed=GOLDEN_SEED, height_px=height_px, width_px=width_px)
    entries = _depth_entries(checkpoint, network, models, options, golden)
    bits, activation_bits = network.deepest.bits, checkpoint.config.body_activation_bits
    runtime = backend.runtime_version()
    manifest = Manifest(
        name=options.metadata.name,
        target=backend.name,
        storage=options.storage,
        pack=options.pack,
        profile=checkpoint.config.profile,
        bits=bits,
        activation_bits=None if activation_bits == bits else activation_bits,
        scale=checkpoint.config.scale,
        runtime=runtime,
        licence=options.metadata.licence,
        input_size_px=options.input_size_px,
        more_sizes_px=options.more_sizes_px or None,
        deployment=_deployment(models),
        integer_only=backend.capabilities.integer_only,
        selector=policy,
        latency=estimated_table({entry.depth: entry.macs_per_pixel for entry in entries}),
        depths=entries,
        golden=golden,
        parity=parity,
        provenance=checkpoint.provenance,
    )
    written = write_bundle(output, manifest, model_contents(models), force=force)
    return Conversion(manifest=written, parity=parity, placements=placements)
