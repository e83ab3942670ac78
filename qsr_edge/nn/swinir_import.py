"""Import of official SwinIR-light state dicts (pixelshuffledirect) as float ``quantsr_t`` checkpoints."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import CheckpointError
from qsr_edge.graph.windows import relative_position_index
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.state_dict import read_state_dict
from qsr_edge.nn.swin_config import MLP_RATIO, SwinConfig

Arrays = dict[str, NDArray[np.float32]]

_PARAMETERS = ("params_ema", "params")
"""Keys that hold the tensors in files of BasicSR and SwinIR; a bare dictionary of tensors is taken too."""
_BLOCK = re.compile(r"layers\.(\d{1,2})\.residual_group\.blocks\.(\d{1,2})\.")
_QUANTSR_C = re.compile(r"body\.[0-9]+\.conv1\.")
_REMEDY = "give a state dict of SwinIR's lightweight model (upsampler pixelshuffledirect)"


def _config(tensors: Arrays, path: Path) -> SwinConfig:
    """The shape that the tensors have among themselves."""

    def tensor(name: str, dimensions: int) -> NDArray[np.float32]:
        if name not in tensors:
            raise CheckpointError(f"{path}: the tensor {name!r} is missing; {_REMEDY}")
        if tensors[name].ndim != dimensions or tensors[name].size == 0:
            raise CheckpointError(
                f"{path}: {name} has shape {tensors[name].shape}, expected {dimensions} dimensions; {_REMEDY}"
            )
        return tensors[name]

    width = len(tensor("conv_first.weight", 4))
    outputs = len(tensor("upsample.0.weight", 4))
    table = tensor("layers.0.residual_group.blocks.0.attn.relative_position_bias_table", 2)
    blocks = {(int(match[1]), int(match[2])) for name in tensors if (match := _BLOCK.match(name))}
    groups, layers = (1 + max(block[i] for block in blocks) for i in (0, 1))
    scale, window_px = round((outputs / 3) ** 0.5), round((len(table) ** 0.5 + 1) / 2)
    count = groups * layers
    try:
        return SwinConfig(
            scale=scale,
            channels=width,
            blocks=count,
            groups=groups,
            heads=table.shape[1],
            window_px=window_px,
            depths=tuple(sorted({max(1, count // 4), max(1, count // 2), count})),
            order=tuple(range(count)),
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}; {_REMEDY}") from error


def read_swinir(path: Path) -> Checkpoint:
    """Read an official state dict; nothing in the file is executed.

    Every tensor keeps its name. ``importance``, which SwinIR has not, is 1; the layers' order is their own, so that a
    shallow depth keeps the first ones until training has found out which matter.

    Args:
        path: a ``.pth`` file with the tensors bare or under ``params`` or ``params_ema``.

    Raises:
        CheckpointError: if it cannot be read, or naming the tensor that is missing, unexpected or of a wrong shape.
    """
    found, key = read_state_dict(path, keys=_PARAMETERS, remedy=_REMEDY)
    if any(_QUANTSR_C.match(name) for name in found):
        raise CheckpointError(
            f"{path}: a state dict of QuantSR-C, which training does not start from; import it by "
            f"'qsr-edge convert --checkpoint {path} --calibration DIR'"
        )
    config = _config(found, path)
    index = relative_position_index(config.window_px)
    tensors: Arrays = {}
    shapes = config.tensor_shapes()
    for name in sorted(found.keys() | shapes.keys()):
        kind = name.rpartition(".")[2]
        if kind == "attn_mask" and name not in shapes:
            continue  # depends on the image's size and is made anew
        if kind == "relative_position_index" and name not in shapes:
            if not np.array_equal(found[name], index):
                raise CheckpointError(f"{path}: {name} is not SwinIR's for windows of {config.window_px}; {_REMEDY}")
            continue
        if kind == "importance" and name not in found:
            tensors[name] = np.ones((), np.float32)
            continue
        if name not in found:
            raise CheckpointError(f"{path}: the tensor {name!r} is missing; {_REMEDY}")
        if name not in shapes:
            raise CheckpointError(f"{path}: unexpected tensor {name!r}; {_REMEDY}")
        if found[name].shape != shapes[name]:
            hint = f" (mlp_ratio must be {MLP_RATIO})" if ".mlp." in name else ""
            raise CheckpointError(
                f"{path}: {name} has shape {found[name].shape}, expected {shapes[name]}{hint}; {_REMEDY}"
            )
        if not np.isfinite(found[name]).all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinite values; {_REMEDY}")
        tensors[name] = found[name]
    provenance: dict[str, object] = {"imported_from": path.name, "state_dict": key or "top level"}
    return Checkpoint(config=config, tensors=tensors, provenance=provenance)
