"""Import of official SwinIR-light state dicts (pixelshuffledirect) as float ``quantsr_t`` checkpoints."""

import pickle
import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qsr_edge.errors import CheckpointError
from qsr_edge.nn.checkpoint import Checkpoint
from qsr_edge.nn.swin_config import MLP_RATIO, SwinConfig, relative_position_index

_PARAMETERS = ("params_ema", "params")
"""Keys that hold the tensors in files of BasicSR and SwinIR; a bare dictionary of tensors is taken too."""
_BLOCK = re.compile(r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\.")
_REMEDY = "give a state dict of SwinIR's lightweight model (upsampler pixelshuffledirect)"


def _loaded(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        text = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: no state dict that can be loaded safely ({text}); {_REMEDY}") from error
    for key in _PARAMETERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: holds no dictionary of tensors, bare or under 'params'; {_REMEDY}")
    return dict(content)


def _config(tensors: dict[str, Tensor], path: Path) -> SwinConfig:
    """The shape that the tensors have among themselves."""

    def tensor(name: str, dimensions: int) -> Tensor:
        if name not in tensors:
            raise CheckpointError(f"{path}: the tensor {name!r} is missing; {_REMEDY}")
        if tensors[name].ndim != dimensions:
            raise CheckpointError(f"{path}: {name} has shape {tuple(tensors[name].shape)}; {_REMEDY}")
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
    found = _loaded(path)
    config = _config(found, path)
    index = relative_position_index(config.window_px)
    tensors: dict[str, NDArray[np.float32]] = {}
    shapes = config.tensor_shapes()
    for name in sorted(found.keys() | shapes.keys()):
        kind = name.rpartition(".")[2]
        if kind == "attn_mask" and name not in shapes:
            continue  # depends on the image's size and is made anew
        if kind == "relative_position_index" and name not in shapes:
            if not np.array_equal(found[name].numpy(), index):
                raise CheckpointError(f"{path}: {name} is not SwinIR's for windows of {config.window_px}; {_REMEDY}")
            continue
        if kind == "importance" and name not in found:
            tensors[name] = np.ones((), np.float32)
            continue
        if name not in found:
            raise CheckpointError(f"{path}: the tensor {name!r} is missing; {_REMEDY}")
        if name not in shapes:
            raise CheckpointError(f"{path}: unexpected tensor {name!r}; {_REMEDY}")
        if tuple(found[name].shape) != shapes[name]:
            hint = f" (mlp_ratio must be {MLP_RATIO})" if ".mlp." in name else ""
            raise CheckpointError(
                f"{path}: {name} has shape {tuple(found[name].shape)}, expected {shapes[name]}{hint}; {_REMEDY}"
            )
        tensors[name] = np.asarray(found[name].to(torch.float32).numpy())
    return Checkpoint(config=config, tensors=tensors, provenance={"imported": f"SwinIR state dict {path.name}"})
