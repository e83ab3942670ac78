"""What a bundle, model, checkpoint or graph holds and what running it costs, by looking into the file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qsr_edge.bundle.manifest import Manifest
from qsr_edge.bundle.parity import parity_headline
from qsr_edge.bundle.reader import open_bundle
from qsr_edge.cli.file_kind import Kind, recognise
from qsr_edge.graph.cost import TileGrid
from qsr_edge.graph.serde import load_graph
from qsr_edge.graph.verify import verify_graph
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.lowering.network import LoweredNetwork
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthReport:
    """One depth; None means that the file does not tell.

    Attributes:
        depth: number of residual blocks.
        file: name of the model in a bundle.
        file_bytes: its size.
        weight_bytes: all weights at their own bit width.
        macs_per_pixel: multiply-accumulates per input pixel.
        bops_per_pixel: bit operations per input pixel.
        peak_activation_bytes_per_pixel: see :class:`qsr_edge.graph.cost.GraphCost`.
        halo_px: see :class:`qsr_edge.graph.cost.GraphCost`.
        grid: likewise.
    """

    depth: int
    file: str | None = None
    file_bytes: int | None = None
    weight_bytes: int | None = None
    macs_per_pixel: int | None = None
    bops_per_pixel: int | None = None
    peak_activation_bytes_per_pixel: int | None = None
    halo_px: int | None = None
    grid: TileGrid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found.

    Attributes:
        path: what was inspected.
        kind: what it is.
        bytes: size of the file, or of all files of a bundle.
        facts: by their names, in the order to print them.
        integer_only: whether no tensor is floating-point, by inspection of what is there, or else by the manifest,
            which the note tells then; None if it is not known.
        integer_only_note: the first float tensor if there is one, of a Core ML package also every operator that makes
            floats, or why none was seen.
        depths: ascending; empty for a model that qsr-edge did not write.
        training: one line for each stage, the last one first.
    """

    path: str
    kind: Kind
    bytes: int
    facts: dict[str, str | int]
    integer_only: bool | None
    integer_only_note: str = ""
    depths: tuple[DepthReport, ...]
    training: tuple[str, ...] = field(default=())


def inspect_path(path: Path) -> Report:
    """Find out what a path holds.

    Raises:
        QsrError: if it is of an unknown kind or damaged, or needs a back end that is not installed.
        OSError: if it cannot be read.
    """
    match recognise(path):
        case Kind.BUNDLE:
            return _inspect_bundle(path)
        case Kind.TFLITE:
            return _inspect_tflite(path)
        case Kind.EXECUTORCH:
            return _inspect_executorch(path)
        case Kind.COREML:
            return _inspect_coreml(path)
        case Kind.CHECKPOINT:
            return _inspect_checkpoint(path)
        case Kind.GRAPH:
            return _inspect_graph(path)


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
            kind=Kind.BUNDLE,
            bytes=sum(entry.bytes for entry in manifest.files),
            facts={
                "name": manifest.name,
                "target": manifest.target,
                "runtime": manifest.runtime,
                "scale": manifest.scale,
                "bits": manifest.bits,
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
            training=tuple(_training(manifest.provenance)),
        )


def _deployment_facts(manifest: Manifest) -> dict[str, str | int]:
    deployment = manifest.deployment
    if deployment is None:
        return {}
    return {"flavour": deployment.flavor, "made for": deployment.compute_units, "oldest systems": deployment.minimum_os}


def _integer_only(manifest: Manifest, models: tuple[Path, ...]) -> tuple[bool | None, str]:
    """Look into every model of a bundle; only of kinds that cannot be looked into the manifest is believed."""
    target = manifest.target
    for model in models:
        match target:
            case "tflite":
                from qsr_edge_converters.tflite import inspect_model

                first_float = inspect_model(model).first_float_tensor
            case "executorch":
                from qsr_edge_converters.executorch import inspect_pte

                first_float = inspect_pte(model).first_float
            case "coreml":
                from qsr_edge_converters.coreml import inspect_package

                package = inspect_package(model)
                first_float = package.first_float
                if first_float:
                    first_float += f", the first of {_counted(package.float_operators)}"
            case _:
                source = "" if manifest.integer_only is None else "as the manifest says; "
                return manifest.integer_only, f"{source}models for {target} cannot be looked into"
        if first_float:
            return False, f"{model.name}: {first_float}"
    return True, ""


def _inspect_executorch(path: Path) -> Report:
    from qsr_edge_converters.executorch import inspect_pte

    found = inspect_pte(path)
    facts: dict[str, str | int] = {"methods": ", ".join(method.name for method in found.methods)}
    for method in found.methods:
        for index, delegate in enumerate(method.delegates):
            facts[f"{method.name}, delegate {index}"] = _counted({**delegate.operators, **delegate.tensor_types})
        facts[f"{method.name}, outside"] = _counted({**method.operators, **method.tensor_types}) or "nothing"
        facts[f"{method.name}, bytes reserved outside"] = method.planned_bytes
    return Report(
        path=str(path),
        kind=Kind.EXECUTORCH,
        bytes=found.size_bytes,
        facts=facts,
        integer_only=found.first_float is None,
        integer_only_note=found.first_float or "",
        depths=(),
    )


def _inspect_coreml(path: Path) -> Report:
    from qsr_edge_converters.coreml import inspect_package

    found = inspect_package(path)
    facts: dict[str, str | int] = {key: value for key, value in found.facts.items() if value}
    facts["oldest systems"] = found.minimum_os
    facts["bytes of weights"] = found.weight_bytes
    for function in found.functions:
        facts[f"{function.name}, input"] = function.sizes
        facts[f"{function.name}, {function.opset}"] = _counted(function.operators)
        facts[f"{function.name}, on floats"] = _counted(function.float_operators) or "nothing"
        facts[f"{function.name}, stored constants"] = _counted(function.weight_types)
    return Report(
        path=str(path),
        kind=Kind.COREML,
        bytes=found.size_bytes,
        facts=facts,
        integer_only=found.first_float is None,
        integer_only_note=found.first_float or "",
        depths=(),
    )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _inspect_tflite(path: Path) -> Report:
    from qsr_edge_converters.tflite import inspect_model

    found = inspect_model(path)
    facts: dict[str, str | int] = {"description": found.description}
    # The metadata is whatever the file holds under our name.
    for key in ("name", "version", "author", "licence", "scale", "bits", "profile", "storage"):
        if isinstance(value := found.metadata.get(key), str | int):
            facts[key] = value
    facts["signatures"] = ", ".join(found.signatures) or "none"
    for subgraph in found.subgraphs:
        facts[f"subgraph {subgraph.name}"] = _counted({**subgraph.operators, **subgraph.tensor_types})
    return Report(
        path=str(path),
        kind=Kind.TFLITE,
        bytes=found.size_bytes,
        facts=facts,
        integer_only=found.integer_only,
        integer_only_note=found.first_float_tensor or "",
        depths=tuple(_tflite_depths(path)) if found.metadata.get("depths") else (),
    )


def _tflite_depths(path: Path) -> Iterator[DepthReport]:
    """Costs of every depth. A file does not tell how many bits of its weights are used, so there are no BOPs."""
    from qsr_edge_converters.tflite.costs import model_costs

    for depth, cost in model_costs(path).items():
        yield DepthReport(
            depth=depth,
            macs_per_pixel=cost.macs_per_pixel,
            peak_activation_bytes_per_pixel=cost.peak_activation_bytes_per_pixel,
            halo_px=cost.halo_px,
        )


def _inspect_checkpoint(path: Path) -> Report:
    checkpoint = read_checkpoint(path)
    config = checkpoint.config
    facts: dict[str, str | int] = {
        "architecture": config.architecture.value,
        "scale": config.scale,
        "bits": config.bits or "float",
        "profile": config.profile.value,
        **{name: getattr(config, name) for name in config.size_fields if name != "blocks"},
        "blocks by importance": ", ".join(map(str, config.order)),
        "parameters": sum(int(tensor.size) for tensor in checkpoint.tensors.values()),
    }
    depths = tuple(DepthReport(depth=depth) for depth in config.depths)
    if config.bits is None:
        note = "a float network; train a quantized one from it with 'qsr-edge train --start'"
    elif isinstance(config, QuantsrCConfig) and not config.calibrated:
        note = "head, upsampler and tail are float; calibrate them with 'qsr-edge convert --calibration'"
    else:
        note = ""
        depths = _graph_reports(lower_checkpoint(checkpoint))
    return Report(
        path=str(path),
        kind=Kind.CHECKPOINT,
        bytes=path.stat().st_size,
        facts=facts,
        # A graph cannot express a float tensor: that a checkpoint can be lowered is the finding.
        integer_only=not note,
        integer_only_note=note,
        depths=depths,
        training=tuple(_training(checkpoint.provenance)),
    )


def _inspect_graph(path: Path) -> Report:
    graph, constants = load_graph(path.read_bytes(), str(path))
    verify_graph(graph, constants)
    return Report(
        path=str(path),
        kind=Kind.GRAPH,
        bytes=path.stat().st_size,
        facts={
            "name": graph.name,
            "scale": graph.scale,
            "bits": graph.bits,
            "profile": graph.profile.value,
            "nodes": len(graph.nodes),
        },
        integer_only=True,
        depths=_graph_reports(LoweredNetwork(graphs={graph.depth: graph}, constants=constants)),
    )


def _graph_reports(network: LoweredNetwork) -> tuple[DepthReport, ...]:
    reports = []
    for depth in network.depths:
        cost = network.cost(depth)
        reports.append(
            DepthReport(
                depth=depth,
                weight_bytes=cost.weight_bytes_ideal,
                macs_per_pixel=cost.macs_per_pixel,
                bops_per_pixel=cost.bops_per_pixel,
                peak_activation_bytes_per_pixel=cost.peak_activation_bytes_per_pixel,
                halo_px=cost.halo_px,
                grid=cost.grid,
            )
        )
    return tuple(reports)


def _training(provenance: Mapping[str, object]) -> Iterator[str]:
    """A line for each training stage, the last one first; what is missing or of another shape is left out."""
    stage: object = provenance
    data: object = None
    while isinstance(stage, Mapping) and stage:
        recipe = stage.get("recipe")
        parts = []
        if isinstance(recipe, Mapping):
            settings = [f"{key} {recipe[key]}" for key in ("iterations", "batch", "seed") if key in recipe]
            parts.append(f"{recipe.get('name', 'unnamed recipe')}: {', '.join(settings)}")
        if "imported_from" in stage:
            order = f", block order: {stage['block_order_from']}" if "block_order_from" in stage else ""
            parts.append(f"imported from {stage['imported_from']}{order}")
        if "training_images" in stage:
            parts.append(f"{stage['training_images']} images")
        if stage.get("data"):
            parts.append("the same images" if stage["data"] == data else str(stage["data"]))
            data = stage["data"]
        parts += _integer_cost(stage.get("calibration"))
        yield "; ".join(parts) or json.dumps({key: value for key, value in stage.items() if key != "start"})
        stage = stage.get("start")


def _integer_cost(calibration: object) -> list[str]:
    """What becoming integer cost at each depth; nothing if that is not told, or in another form."""
    try:
        depths = calibration["depths"] if isinstance(calibration, Mapping) else []
        costs = [
            f"{entry['depth']}: {entry['psnr_db']['as_trained'] - entry['psnr_db']['whole']:.3f} dB" for entry in depths
        ]
    except (KeyError, TypeError):
        return []
    return [f"integers cost at depth {', '.join(costs)}"] if costs else []
