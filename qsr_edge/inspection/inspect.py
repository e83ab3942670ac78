"""What a bundle, model or checkpoint holds and what running it costs, by looking into the file."""

from pathlib import Path

from qsr_edge.bundle.headline import parity_headline
from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.conversion.backend import Backend, InspectsModels
from qsr_edge.conversion.registry import backend_names, registered_backend
from qsr_edge.inspection.checkpoint import inspect_checkpoint, training_lines
from qsr_edge.inspection.kind import Kind, model_backend, recognise
from qsr_edge.inspection.report import DepthReport, Report


def inspect_path(path: Path) -> Report:
    """Find out what a path holds.

    Raises:
        QsrError: if it is of an unknown kind or damaged, or needs a back end that is not installed.
        OSError: if it cannot be read.
    """
    backend = model_backend(path)
    if backend is not None:
        return _inspect_model(path, *backend)
    match recognise(path):
        case Kind.BUNDLE:
            return _inspect_bundle(path)
        case Kind.CHECKPOINT:
            return inspect_checkpoint(path)


def _inspect_model(path: Path, backend: Backend, inspector: InspectsModels) -> Report:
    found = inspector.inspect(path)
    depths = (
        DepthReport(
            depth=depth,
            macs_per_pixel=cost.macs_per_pixel,
            peak_activation_bytes_per_pixel=cost.peak_activation_bytes_per_pixel,
            halo_px=cost.halo_px,
        )
        for depth, cost in found.costs.items()
    )
    return Report(
        path=str(path),
        kind=backend.capabilities.model_kind,
        bytes=found.size_bytes,
        facts=dict(found.facts),
        integer_only=found.first_float is None,
        integer_only_note=found.first_float or "",
        depths=tuple(depths),
    )


def _inspect_bundle(path: Path) -> Report:
    with open_bundle(path) as bundle:
        manifest = bundle.manifest
        depths = tuple(
            DepthReport(
                depth=entry.depth,
                file=entry.file,
                file_bytes=manifest.model_bytes(entry.file),
                macs_per_pixel=entry.macs_per_pixel,
                bops_per_pixel=entry.bops_per_pixel,
                peak_activation_bytes_per_pixel=entry.peak_activation_bytes_per_pixel,
                halo_px=entry.halo_px,
                grid=entry.grid,
            )
            for entry in manifest.depths
        )
        models = tuple(dict.fromkeys(bundle.root / entry.file for entry in manifest.depths))
        integer_only, note = _integer_only(manifest, models)
        verified = f"against the golden interpreter: {parity_headline(manifest.parity)}" if manifest.parity else "no"
        size = manifest.input_size_px
        return Report(
            path=str(path),
            kind=Kind.BUNDLE.value,
            bytes=sum(entry.bytes for entry in manifest.files),
            facts={
                "name": manifest.name,
                "target": manifest.target,
                "runtime": manifest.runtime,
                "scale": manifest.scale,
                "bits": manifest.bits,
                "activation bits": manifest.activation_bits or manifest.bits,
                "profile": manifest.profile.value,
                "storage": manifest.storage.value,
                "pack": manifest.pack.value,
                "input size": ", ".join(f"{w}x{h}" for h, w in (size, *(manifest.more_sizes_px or ())))
                if size
                else "any",
                **_deployment_facts(manifest),
                "licence": manifest.licence,
                "verified": verified,
            },
            integer_only=integer_only,
            integer_only_note=note,
            depths=depths,
            training=tuple(training_lines(manifest.provenance)),
        )


def _deployment_facts(manifest: Manifest) -> dict[str, str | int]:
    deployment = manifest.deployment
    if deployment is None:
        return {}
    return {"flavour": deployment.flavor, "made for": deployment.compute_units, "oldest systems": deployment.minimum_os}


def _integer_only(manifest: Manifest, models: tuple[Path, ...]) -> tuple[bool | None, str]:
    """Look into every model of a bundle; only of kinds that cannot be looked into the manifest is believed."""
    target = manifest.target
    backend: object = registered_backend(target) if target in backend_names() else None
    if not isinstance(backend, InspectsModels):
        source = "" if manifest.integer_only is None else "as the manifest says; "
        return manifest.integer_only, f"{source}models for {target} cannot be looked into"
    for model in models:
        first_float = backend.inspect(model).first_float
        if first_float:
            return False, f"{model.name}: {first_float}"
    return True, ""
