"""Reading ``.pth`` files: tables of tensors that ``torch.save`` wrote. Nothing in a file is executed.

torch is imported only when a file is read.
"""

import io
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import CheckpointError, one_line
from qsr_edge.extras import how_to_install

TORCH_SUFFIXES = (".pth", ".pt")
_PARALLEL = "module."
"""What ``DataParallel`` puts before every name."""


def is_torch_file(path: Path) -> bool:
    """Whether ``torch.save`` wrote a file, as far as its name or its archive's list of members tells."""
    if path.suffix in TORCH_SUFFIXES:
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        # What zipfile raises for no archive, a damaged one, and one of a kind that it does not read.
        return False


def torch_file_advice(path: Path) -> str:
    """What to do with a torch file where a checkpoint of ours is expected."""
    return (
        f"a torch file, which is imported first: official QuantSR-C by 'qsr-edge convert --checkpoint {path} "
        f"--calibration DIR --save-checkpoint {path.stem}.safetensors', SwinIR by 'qsr-edge train --start {path}'"
    )


def read_state_dict(path: Path, *, keys: Sequence[str], remedy: str) -> tuple[dict[str, NDArray[np.float32]], str]:
    """Read a table of tensors, whatever their type as float32; names without ``module.`` in front.

    Args:
        path: a file that ``torch.save`` wrote.
        keys: entries of the file that hold the table, the preferred one first; without them it is the file itself.
        remedy: what to do if the file will not do, the end of every message.

    Returns:
        Arrays by name, and the entry that they were found under; empty if at the top.

    Raises:
        CheckpointError: in one line, if the file cannot be read, or holds anything else.
    """
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(f"{path}: reading a torch file needs torch; {how_to_install('train')}") from error
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error
    try:
        content = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        # torch's own message tells how to have the file's code executed.
        raise CheckpointError(
            f"{path}: holds more than tensors, or is damaged; nothing in it was executed; {remedy}, saved by "
            "torch.save from tensors alone"
        ) from error
    except Exception as error:  # torch raises many kinds for a damaged file; all mean the same to the user
        text = one_line(error)
        raise CheckpointError(f"{path}: not a torch file of tensors ({text}); {remedy}") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, expected a table of tensors; {remedy}")
    key = next((key for key in keys if key in content), "")
    table = content[key] if key else content
    if not isinstance(table, Mapping):
        raise CheckpointError(f"{path}: {key} is a {type(table).__name__}, expected a table of tensors; {remedy}")
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, value in table.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{path}: {name!r} is a {type(value).__name__}, expected a tensor; {remedy}")
        if value.is_complex() or value.layout is not torch.strided or value.device.type != "cpu":
            raise CheckpointError(
                f"{path}: {name!r} is {value.dtype}, {value.layout} on {value.device}, expected numbers; {remedy}"
            )
        arrays[str(name).removeprefix(_PARALLEL)] = value.detach().float().numpy()
    return arrays, key
