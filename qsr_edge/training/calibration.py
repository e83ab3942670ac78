"""From a ``quantsr_c`` network whose body alone is quantized to one that is integer throughout, by images.

Each tensor outside the body gets a step size for each channel, the one with the least squared error on the images. The
residual stream is rounded once by every block, so that its clipping weighs less than a single rounding would have it:
its step sizes are multiplied by the factor whose integer graph is nearest to the network.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, pixel_shuffle

from qsr_edge.data.bicubic import resize_bicubic
from qsr_edge.data.dataset import find_images
from qsr_edge.data.images import read_picture
from qsr_edge.errors import DatasetError, LoweringError
from qsr_edge.graph.integer_graph import ConvolutionalGraph
from qsr_edge.graph.interpreter import Codes, run_nodes
from qsr_edge.graph.ir import Constants, Conv2d, Graph
from qsr_edge.lowering.quantsr_c import HEAD_TENSOR, lower_checkpoint
from qsr_edge.metrics import psnr_y
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.quantsr_c import IMAGE_RANGE, QuantsrC, ResidualBlock
from qsr_edge.nn.quantsr_c_config import upsampling_factors
from qsr_edge.quant.arithmetic import IMAGE_ZERO, STREAM_RANGE
from qsr_edge.quant.calibration import least_error_step
from qsr_edge.training.state import network_from_checkpoint

Image = NDArray[np.uint8]

LEAST_IMAGES = 4
MOST_IMAGES = 24
CROP_PX = 64
"""Largest side of what is cut from the middle of a reduced image."""
_SMALLEST_PX = 16
_MEASURED_EVERY = 3
"""Out of so many images one is measured on, the others are calibrated on."""
_SMALLEST_SHARE = 2.0**-8
"""The smallest step size of a channel, as a share of the largest: for a silent channel's own, which is almost zero, a
requantization would need a multiplier beyond any runtime's."""
STREAM_FACTORS = (0.5, 2**-0.5, 1.0, 2**0.5, 2.0)
"""What the stream's step sizes are multiplied by, tried one by one."""
_SAMPLES = 256
"""Values that each tensor gives of each channel and image: a quarter of a million a channel at the paper's size."""


def quantsr_c_network(checkpoint: Checkpoint) -> QuantsrC:
    """The network of a checkpoint, for evaluation.

    Raises:
        LoweringError: if it is of another architecture.
        CheckpointError: if its tensors do not fit its configuration.
    """
    network = network_from_checkpoint(checkpoint)
    if not isinstance(network, QuantsrC):
        raise LoweringError(f"only a quantsr_c network is calibrated; this is a {checkpoint.config.architecture.value}")
    return network.eval()


def as_codes(image: Image) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 levels minus 128."""
    return torch.from_numpy(np.array(image, np.float32).transpose(2, 0, 1)[None] - IMAGE_ZERO)


def as_image(codes: Tensor) -> Image:
    """(1, 3, H, W) float levels minus 128 -> (H, W, 3) uint8, rounded."""
    levels = (torch.round(codes[0]) + IMAGE_ZERO).clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.numpy().transpose(1, 2, 0))


@dataclass(slots=True)
class _Samples:
    """Values of one grid, by channel."""

    parts: list[Tensor]

    def add(self, x: Tensor, generator: torch.Generator) -> None:
        """Keep some of (1, C, H, W)."""
        flat = x[0].flatten(1)
        chosen = torch.randint(flat.shape[1], (min(_SAMPLES, flat.shape[1]),), generator=generator)
        self.parts.append(flat[:, chosen])

    def step(self) -> Tensor:
        """(C,) step sizes of int8 codes; of a channel that is (almost) silent, a small share of the largest."""
        step = least_error_step(torch.cat(self.parts, dim=1), STREAM_RANGE, dim=(1,))
        return torch.maximum(step, step.max() * _SMALLEST_SHARE)


@torch.no_grad()
def _steps(network: QuantsrC, images: Sequence[Image], done: Callable[[], None]) -> dict[str, Tensor]:
    """Step sizes by tensor name, from every depth's activations."""
    config, generator = network.config, torch.Generator().manual_seed(0)
    factors = upsampling_factors(config.scale)
    stream, features = _Samples([]), _Samples([])
    upsampled = [_Samples([]) for _ in factors]
    for image in images:
        head = network.head((as_codes(image) + IMAGE_ZERO) / IMAGE_RANGE)
        for depth in config.depths:
            kept = config.kept_blocks(depth)
            x, product = head, 1.0
            stream.add(x, generator)
            for i, block in enumerate(network.blocks()):
                x = block(x, kept=i in kept)
                product *= block.shortcut.item()
                if i in kept:
                    stream.add(x / product, generator)
            after = network.conv_after_body(x)
            features.add(after, generator)
            features.add(after + head, generator)
            features.add(head, generator)
            x = after + head
            for conv, factor, samples in zip(network.upsample, factors, upsampled, strict=True):
                x = pixel_shuffle(conv(x), factor)
                samples.add(x, generator)
        done()
    steps = {"stream_step": stream.step(), "features_step": features.step()}
    return steps | {f"upsample.{k}.output_step": samples.step() for k, samples in enumerate(upsampled)}


def _error(checkpoint: Checkpoint, images: Sequence[Image], expected: Sequence[Tensor]) -> float:
    """Mean squared error of the deepest integer graph against the network's images, in levels squared."""
    graph = lower_checkpoint(checkpoint).deepest
    errors = []
    for image, codes in zip(images, expected, strict=True):
        got = graph.run(image).astype(np.float32) - IMAGE_ZERO
        difference = got.transpose(2, 0, 1) - codes[0].numpy().clip(-IMAGE_ZERO, 255 - IMAGE_ZERO)
        errors.append(float(np.square(difference).mean()))
    return float(np.mean(errors))


@torch.no_grad()
def calibrate(
    checkpoint: Checkpoint,
    images: Sequence[Image],
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Checkpoint:
    """Find the step sizes of residual stream, head, upsampler and tail.

    Args:
        checkpoint: a ``quantsr_c`` network, quantized; what an earlier calibration found is replaced.
        images: low-resolution images, (H, W, 3) uint8, like those that will be upscaled.
        on_progress: called with (steps done, steps in all).

    Returns:
        The same network with its step sizes; it can be lowered.

    Raises:
        LoweringError: if the network is a float one or of another architecture, or cannot be lowered.
    """
    network = quantsr_c_network(checkpoint)
    if not network.config.bits:
        raise LoweringError("a float checkpoint has no integer codes; train a quantized one from it first")
    total, count = len(images) + len(STREAM_FACTORS), 0

    def done() -> None:
        nonlocal count
        count += 1
        on_progress(count, total)

    steps = {name: step.numpy().astype(np.float32) for name, step in _steps(network, images, done).items()}
    config = dataclasses.replace(network.config, calibrated=1)
    deepest = config.depths[-1]
    expected = [network(as_codes(image), deepest) for image in images]
    best, least = None, np.inf
    for factor in STREAM_FACTORS:
        scaled = steps | {"stream_step": steps["stream_step"] * np.float32(factor)}
        candidate = dataclasses.replace(checkpoint, config=config, tensors={**checkpoint.tensors, **scaled})
        error = _error(candidate, images, expected)
        done()
        if best is None or error < least:
            best, least = candidate, error
    if best is None:
        raise LoweringError("there is no factor to try")
    return best


class Stage(StrEnum):
    """What is computed in integers, one thing after the other."""

    TRAINED = "as_trained"
    BODY = "body"
    STREAM = "residual_stream"
    WHOLE = "whole"


STAGE_LABELS = {
    Stage.TRAINED: "as trained: body quantized, all computed in floats",
    Stage.BODY: "body in integers",
    Stage.STREAM: "and the residual stream",
    Stage.WHOLE: "and head, upsampler and tail: the integer graph",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageQuality:
    """What a depth's network reaches, and what each stage costs against the one before it.

    Attributes:
        depth: kept blocks.
        psnr_db: by stage: mean luma PSNR in dB over the images, against the originals.
    """

    depth: int
    psnr_db: dict[Stage, float]

    def costs_db(self) -> dict[Stage, float]:
        """PSNR that each stage loses against the one before it."""
        return {stage: self.psnr_db[before] - self.psnr_db[stage] for before, stage in pairwise(Stage)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A network that can be lowered, and what becoming integer costs.

    Attributes:
        checkpoint: calibrated; its provenance tells what on and at which cost.
        images: calibrated on.
        measured_images: others, measured on.
        quality: by depth.
    """

    checkpoint: Checkpoint
    images: int
    measured_images: int
    quality: tuple[StageQuality, ...]

    def table(self) -> dict[str, object]:
        """For a program and for the provenance: JSON values."""
        return {
            "images": self.images,
            "measured_images": self.measured_images,
            "depths": [
                {
                    "depth": entry.depth,
                    "psnr_db": {stage.value: round(value, 4) for stage, value in entry.psnr_db.items()},
                    "cost_db": {stage.value: round(value, 4) for stage, value in entry.costs_db().items()},
                }
                for entry in self.quality
            ],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An original and its bicubic reduction: (rH, rW, 3) and (H, W, 3) uint8."""

    hr: Image
    lr: Image


def calibration_pairs(folder: Path, scale: int) -> list[Pair]:
    """Up to ``MOST_IMAGES`` images of a folder, evenly chosen, their middles reduced by ``scale``.

    Raises:
        DatasetError: if the folder has too few images that are large enough.
    """
    files = find_images(folder, recursive=True)
    pairs: list[Pair] = []
    for position in range(min(len(files), MOST_IMAGES)):
        hr = read_picture(files[position * len(files) // min(len(files), MOST_IMAGES)]).rgb
        sides = [min(size // scale, CROP_PX) * scale for size in hr.shape[:2]]
        if min(sides) < _SMALLEST_PX * scale:
            continue
        top, left = ((size - side) // 2 for size, side in zip(hr.shape[:2], sides, strict=True))
        hr = np.ascontiguousarray(hr[top : top + sides[0], left : left + sides[1]])
        pairs.append(Pair(hr, np.ascontiguousarray(resize_bicubic(hr, 1 / scale))))
    if len(pairs) < LEAST_IMAGES:
        raise DatasetError(
            f"{folder}: {len(pairs)} images of at least {_SMALLEST_PX * scale} pixels a side, expected "
            f"{LEAST_IMAGES} or more to calibrate on; give a folder with photographs"
        )
    return pairs


@torch.no_grad()
def calibrate_on_folder(
    checkpoint: Checkpoint, folder: Path, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Calibrated:
    """Calibrate on a folder of high-resolution images, and measure what each stage costs on others of them.

    Args:
        checkpoint: a ``quantsr_c`` network, quantized.
        folder: searched recursively.
        on_progress: called with (steps done, steps in all).

    Raises:
        DatasetError: if there are too few images.
        LoweringError: as :func:`calibrate`.
    """
    network = quantsr_c_network(checkpoint)
    pairs = calibration_pairs(folder, network.config.scale)
    measured = pairs[::_MEASURED_EVERY]
    used = [pair.lr for i, pair in enumerate(pairs) if i % _MEASURED_EVERY]
    depths = network.config.depths
    first = len(used) + len(STREAM_FACTORS)
    total = first + len(depths) * len(measured)
    result = calibrate(checkpoint, used, on_progress=lambda done, _: on_progress(done, total))
    quality = []
    for depth in depths:
        sums = dict.fromkeys(Stage, 0.0)
        for pair in measured:
            for stage, image in stage_images(network, result, pair.lr, depth).items():
                sums[stage] += psnr_y(image, pair.hr, border_px=network.config.scale)
            first += 1
            on_progress(first, total)
        quality.append(StageQuality(depth=depth, psnr_db={stage: s / len(measured) for stage, s in sums.items()}))
    found = Calibrated(checkpoint=result, images=len(used), measured_images=len(measured), quality=tuple(quality))
    provenance = {**checkpoint.provenance, "calibration": found.table()}
    return dataclasses.replace(found, checkpoint=dataclasses.replace(result, provenance=provenance))


@torch.no_grad()
def stage_images(network: QuantsrC, calibrated: Checkpoint, image: Image, depth: int) -> dict[Stage, Image]:
    """One image upscaled with more and more of the network in integers: (rH, rW, 3) uint8 by stage."""
    whole = lower_checkpoint(calibrated).of_kind(ConvolutionalGraph)[depth]
    graph, constants = whole.graph, whole.constants
    kept = network.config.kept_blocks(depth)
    head = network.head((as_codes(image) + IMAGE_ZERO) / IMAGE_RANGE)
    result = {Stage.TRAINED: as_image(network(as_codes(image), depth))}

    x, product = head, torch.ones(())
    for i, block in enumerate(network.blocks()):
        scaled = block.shortcut * x
        product = product * block.shortcut
        x = scaled + _integer_branch(block, x, graph, constants, f"body.{i}", product.sign()) if i in kept else scaled
    result[Stage.BODY] = _finished(network, x, head)

    step = torch.from_numpy(calibrated.tensors["stream_step"]).reshape(1, -1, 1, 1)
    codes = torch.round(head / step).clamp(STREAM_RANGE.q_min, STREAM_RANGE.q_max)
    nodes = [node for node in graph.nodes if node.name.startswith("body.")]
    ended = run_nodes(graph, constants, nodes, {HEAD_TENSOR: _rows(codes)}, nodes[-1].output)
    result[Stage.STREAM] = _finished(network, _planes(ended) * step * product, head)
    result[Stage.WHOLE] = whole.run(image)
    return result


def _rows(codes: Tensor) -> Codes:
    rows: Codes = codes[0].numpy().transpose(1, 2, 0)
    return rows


def _planes(rows: Codes) -> Tensor:
    return torch.from_numpy(rows.astype(np.float32).transpose(2, 0, 1)[None])


def _finished(network: QuantsrC, body: Tensor, head: Tensor) -> Image:
    image = network.tail(network.conv_after_body(body) + head)
    return as_image(image * IMAGE_RANGE - IMAGE_ZERO)


def _integer_branch(
    block: ResidualBlock, x: Tensor, graph: Graph, constants: Constants, name: str, sign: Tensor
) -> Tensor:
    """The branch from the constants of the integer graph, between a float stream and a float sum.

    Weights of the graph carry the sign of the shortcuts' product, by which its stream is divided; it is undone here.
    """
    first, second = block.conv1.activation, block.conv2.activation
    weight_quantizer = block.conv2.weight_quantizer
    if first is None or second is None or weight_quantizer is None:
        raise LoweringError("a float network has no integer branch")
    nodes = {node.name: node for node in graph.nodes}
    conv1, conv2 = nodes[f"{name}.conv1"], nodes[f"{name}.conv2"]
    if not (isinstance(conv1, Conv2d) and isinstance(conv2, Conv2d)):
        raise LoweringError(f"{name}: its nodes are not convolutions")
    codes, _ = first.quantize(x)
    inner = [node for node in graph.nodes if node.name in (f"{name}.conv1", f"{name}.floor")]
    codes = _planes(run_nodes(graph, constants, inner, {conv1.input: _rows(codes)}, conv2.input))
    weight = torch.from_numpy(constants[conv2.weights].astype(np.float32).transpose(0, 3, 1, 2))
    bias = torch.from_numpy(constants[conv2.bias].astype(np.float32))
    return conv2d(codes, weight, bias, padding=1) * (second.step * weight_quantizer.step * sign)
