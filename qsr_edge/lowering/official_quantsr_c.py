"""Official QuantSR-C checkpoints (BasicSR state dicts) -> checkpoints of ours, the same numbers under other names."""

import re
import warnings
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from qsr_edge.errors import CheckpointError, QsrWarning
from qsr_edge.nn.checkpoint import CHECKPOINT_FORMAT, Checkpoint
from qsr_edge.nn.quantsr_c_config import QuantsrCConfig, nested_depths, shortcut_order
from qsr_edge.nn.state_dict import TORCH_SUFFIXES, read_state_dict
from qsr_edge.quant.arithmetic import BIT_WIDTHS

RELEASED_NAME = "QuantSR_C_x4_4bit"
RELEASED_ORDER = (
    31, 30, 29, 8, 27, 13, 28, 15, 7, 10, 18, 17, 19, 20, 22, 6,
    11, 16, 12, 23, 24, 25, 21, 14, 9, 26, 5, 4, 3, 2, 1, 0,
)  # fmt: skip
"""Blocks of the released file by importance; the official test script lists them."""
_AVERAGE = "params_ema"
_KEYS = ("params", _AVERAGE)
_BITS = re.compile(r"(?<![0-9])([0-9])-?_?bit|w([0-9])a([0-9])", re.IGNORECASE)
_SWINIR = re.compile(r"layers\.[0-9]+\.residual_group\.")
_REMEDY = "give an official QuantSR-C state dict"

Arrays = dict[str, NDArray[np.float32]]


class OrderSource(StrEnum):
    """Where the order of the blocks comes from."""

    GIVEN = "given"
    RELEASED = "released file"
    SHORTCUT = "magnitude of shortcuts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What was imported.

    Attributes:
        checkpoint: quantized in its body, not calibrated.
        order_source: where ``checkpoint.config.order`` comes from.
        key: the file's entry that was read, ``params`` or ``params_ema``; empty if tensors lie at the top.
    """

    checkpoint: Checkpoint
    order_source: OrderSource
    key: str


def is_official(path: Path) -> bool:
    """Whether a file is to be imported: a torch file, or safetensors that ``qsr-edge train`` did not write."""
    if path.suffix in TORCH_SUFFIXES:
        return True
    try:
        with safe_open(path, framework="numpy") as file:
            # Other tools write metadata too, above all {"format": "pt"}.
            return "conv_first.weight" in file.keys() and (file.metadata() or {}).get("format") != CHECKPOINT_FORMAT
    except (OSError, SafetensorError):
        return False


def bits_of_name(name: str) -> int | None:
    """The bit width that a file's name tells: ``..._4bit.pth`` or ``..._w4a4.pth``."""
    found = _BITS.search(name)
    return int(found[1] or found[2]) if found and (found[1] or found[2] == found[3]) else None


def _read_safetensors(path: Path) -> Arrays:
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error}); {_REMEDY}") from error


def official_shapes(*, channels: int, blocks: int, scale: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an official state dict."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, inputs: int, outputs: int) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, 3, 3)
        shapes[f"{name}.bias"] = (outputs,)

    convolution("conv_first", 3, channels)
    for i in range(blocks):
        shapes[f"body.{i}.learnable_shortcut"] = (1,)
        for conv in ("conv1", "conv2"):
            name = f"body.{i}.{conv}"
            convolution(name, channels, channels)
            shapes[f"{name}.channel_threshold"] = (1, channels, 1, 1)
            for single in ("alpha", "init_state", "ActOurs.alpha", "ActOurs.init_state", "ActOurs.signed"):
                shapes[f"{name}.{single}"] = (1,)
    convolution("conv_after_body", channels, channels)
    if scale == 4:
        convolution("upsample.0", channels, 4 * channels)
        convolution("upsample.2", channels, 4 * channels)
    else:
        convolution("upsample.0", channels, scale**2 * channels)
    convolution("conv_last", channels, 3)
    return shapes


def _size(arrays: Arrays, source: str) -> tuple[int, int, int]:
    """Channels, blocks and scale factor, from the names and shapes that decide them."""
    for name in ("conv_first.weight", "upsample.0.weight"):
        if name not in arrays:
            raise CheckpointError(f"{source}: the tensor {name!r} is missing; {_REMEDY}")
        if arrays[name].ndim != 4:
            raise CheckpointError(f"{source}: {name} has the shape {arrays[name].shape}, expected 4 dimensions")
        if arrays[name].size == 0:
            raise CheckpointError(f"{source}: {name} has the shape {arrays[name].shape}, expected weights; {_REMEDY}")
    channels = arrays["conv_first.weight"].shape[0]
    indices = [int(found[1]) for name in arrays if (found := re.match(r"body\.([0-9]{1,3})\.", name))]
    outputs = arrays["upsample.0.weight"].shape[0]
    scale = 4 if any(name.startswith("upsample.2.") for name in arrays) else {4: 2, 9: 3}.get(outputs // channels, 0)
    if not (indices and scale):
        raise CheckpointError(
            f"{source}: {len(indices)} tensors of a body, and an upsampler from {channels} to {outputs} channels; "
            f"expected a body, and 4 or 9 times the channels: {_REMEDY}"
        )
    return channels, max(indices) + 1, scale


def _check(arrays: Arrays, expected: dict[str, tuple[int, ...]], source: str) -> None:
    for name in [*expected, *sorted(arrays.keys() - expected.keys())]:
        if name not in arrays:
            raise CheckpointError(f"{source}: the tensor {name!r} is missing; {_REMEDY}")
        if name not in expected:
            raise CheckpointError(f"{source}: unexpected tensor {name!r}; {_REMEDY}")
        array = arrays[name]
        if array.shape != expected[name]:
            raise CheckpointError(f"{source}: {name} has the shape {array.shape}, expected {expected[name]}; {_REMEDY}")
        if not np.isfinite(array).all():
            raise CheckpointError(f"{source}: {name} holds NaN or infinite values; {_REMEDY}")
        if name.endswith("alpha") and array.item() <= 0:
            raise CheckpointError(f"{source}: {name} is {array.item():g}, expected a positive step size; {_REMEDY}")
        if name.endswith("init_state") and array.item() != 1:
            raise CheckpointError(f"{source}: {name} is {array.item():g}, expected 1: this layer was never trained")
        if name.endswith("signed") and array.item() not in (0, 1):
            raise CheckpointError(f"{source}: {name} is {array.item():g}, expected 0 or 1; {_REMEDY}")


def _check_average(arrays: Arrays, source: str) -> None:
    """Refuse an average of the weights that is none of the quantizers' parameters.

    The official training makes the averaged network before the first batch has set the step sizes, and averages
    parameters alone. So what was made and not trained stays in it: ``alpha`` as memory had it, the buffers as zeros.
    """
    for name, array in arrays.items():
        initial = (name.endswith("alpha") and not (array > 0).all()) or (
            name.endswith("init_state") and (array != 1).any()
        )
        if initial or not np.isfinite(array).all():
            raise CheckpointError(
                f"{source}: holds only {_AVERAGE}, the running average of the weights, and its {name} was never set: "
                "the official training leaves the quantizers' step sizes and buffers out of that average; give the "
                "file that holds params, the weights themselves"
            )


def _our_names(arrays: Arrays, blocks: int) -> Arrays:
    tensors: Arrays = {}
    for name, array in arrays.items():
        if name.startswith("upsample."):
            tensors[name.replace("upsample.2.", "upsample.1.")] = array
        elif not name.startswith("body."):
            tensors[name] = array
    for i in range(blocks):
        tensors[f"body.{i}.shortcut"] = arrays[f"body.{i}.learnable_shortcut"].reshape(())
        for conv in (f"body.{i}.conv1", f"body.{i}.conv2"):
            tensors[f"{conv}.weight"], tensors[f"{conv}.bias"] = arrays[f"{conv}.weight"], arrays[f"{conv}.bias"]
            tensors[f"{conv}.activation.step"] = arrays[f"{conv}.ActOurs.alpha"].reshape(())
            tensors[f"{conv}.activation.shift"] = arrays[f"{conv}.channel_threshold"].reshape(-1)
            tensors[f"{conv}.weight_quantizer.step"] = arrays[f"{conv}.alpha"].reshape(())
    return tensors


def import_official(path: Path, *, bits: int | None = None, block_order: tuple[int, ...] | None = None) -> Import:
    """Read an official QuantSR-C checkpoint; size and scale factor come from its tensors.

    Args:
        path: ``.pth`` (a table under ``params`` or ``params_ema``, or bare) or safetensors.
        bits: bit width of the body; by default what the file's name tells, warned of if that is another.
        block_order: block indices by importance, most important first. By default the published order for the released
            4-bit x4 file, and else by the magnitude of the learnable shortcuts.

    Raises:
        CheckpointError: naming the file and the tensor that is missing, unexpected or of another shape, or what the
            name does not tell.
    """
    if path.suffix in TORCH_SUFFIXES:
        arrays, key = read_state_dict(path, keys=_KEYS, remedy=_REMEDY)
    else:
        arrays, key = _read_safetensors(path), ""
    if any(_SWINIR.match(name) for name in arrays):
        raise CheckpointError(
            f"{path}: a state dict of SwinIR, whose weights are float; train a quantized QuantSR-T from it: "
            f"qsr-edge train --recipe quantsr_t_x2_w8a8 --start {path}, then convert that"
        )
    channels, blocks, scale = _size(arrays, str(path))
    if key == _AVERAGE:
        _check_average(arrays, str(path))
    _check(arrays, official_shapes(channels=channels, blocks=blocks, scale=scale), str(path))
    told_bits = bits_of_name(path.name)
    if bits is not None and told_bits not in (None, bits):
        warnings.warn(
            f"{path}: its name tells {told_bits} bits, --bits {bits} was given and is taken; nothing in the file tells "
            "which is right, and at the wrong one the network is another",
            QsrWarning,
            stacklevel=2,
        )
    bits = told_bits if bits is None else bits
    if bits not in BIT_WIDTHS:
        told = "its name does not tell the bit width" if bits is None else f"{bits} is no bit width of ours"
        raise CheckpointError(f"{path}: {told}; give --bits, one of {', '.join(map(str, BIT_WIDTHS))}")
    shortcuts = [arrays[f"body.{i}.learnable_shortcut"].item() for i in range(blocks)]
    if block_order is not None:
        order, order_source = block_order, OrderSource.GIVEN
        if sorted(order) != list(range(blocks)):
            repeated = [str(block) for block, count in sorted(Counter(order).items()) if count > 1]
            twice = f", {', '.join(repeated)} more than once" if repeated else ""
            raise CheckpointError(
                f"{path}: --block-order names {len(order)} blocks{twice}, expected each of 0 to {blocks - 1} once"
            )
    elif path.stem == RELEASED_NAME and blocks == len(RELEASED_ORDER):
        order, order_source = RELEASED_ORDER, OrderSource.RELEASED
    else:
        order, order_source = shortcut_order(shortcuts), OrderSource.SHORTCUT
    config = QuantsrCConfig(
        scale=scale,
        channels=channels,
        blocks=blocks,
        depths=nested_depths(blocks),
        order=order,
        bits=bits,
        signed=tuple(
            int(arrays[f"body.{i}.{conv}.ActOurs.signed"].item()) for i in range(blocks) for conv in ("conv1", "conv2")
        ),
    )
    provenance: dict[str, object] = {
        "imported_from": path.name,
        "state_dict": key or "top level",
        "block_order": ", ".join(map(str, order)),
        "block_order_from": order_source.value,
    }
    tensors = {name: np.array(array, order="C") for name, array in _our_names(arrays, blocks).items()}
    return Import(
        checkpoint=Checkpoint(config=config, tensors=tensors, provenance=provenance),
        order_source=order_source,
        key=key,
    )
