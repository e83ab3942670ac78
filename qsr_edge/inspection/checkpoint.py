"""What a checkpoint holds, and how it was trained."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from qsr_edge.errors import LoweringError
from qsr_edge.graph.integer_graph import ConvolutionalGraph, TransformerGraph
from qsr_edge.graph.text import format_graph
from qsr_edge.inspection.kind import Kind
from qsr_edge.inspection.report import DepthReport, Report, depth_report
from qsr_edge.lowering.checkpoint import lower_checkpoint
from qsr_edge.nn.checkpoint import read_checkpoint
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig


def inspect_checkpoint(path: Path) -> Report:
    """Say what a checkpoint holds, and what its integer graphs cost if it has them.

    Raises:
        CheckpointError: if it is damaged or foreign.
    """
    checkpoint = read_checkpoint(path)
    config = checkpoint.config
    facts: dict[str, str | int] = {
        "architecture": config.architecture.value,
        "scale": config.scale,
        "bits": config.bits or "float",
        "activation bits": config.body_activation_bits or "float",
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
        network = lower_checkpoint(checkpoint)
        depths = tuple(depth_report(depth, graph.cost()) for depth, graph in network.items())
    return Report(
        path=str(path),
        kind=Kind.CHECKPOINT.value,
        bytes=path.stat().st_size,
        facts=facts,
        # A graph cannot express a float tensor: that a checkpoint can be lowered is the finding.
        integer_only=not note,
        integer_only_note=note,
        depths=depths,
        training=tuple(training_lines(checkpoint.provenance)),
    )


def graph_text(path: Path, depth: int) -> str:
    """The integer graph of a checkpoint at one depth, a line for each tensor, node and array.

    Raises:
        CheckpointError: if the file is damaged or no checkpoint.
        LoweringError: if the network is a float one, a transformer, or not offered at this depth.
    """
    graph = lower_checkpoint(read_checkpoint(path))[depth]
    match graph:
        case ConvolutionalGraph():
            return format_graph(graph.graph, graph.constants)
        case TransformerGraph():
            raise LoweringError(f"{path}: a transformer is no list of nodes, so there is no text of it")


def training_lines(provenance: Mapping[str, object]) -> Iterator[str]:
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
