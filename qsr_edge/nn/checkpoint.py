"""Checkpoints: safetensors with the network's configuration and provenance as JSON metadata. No torch, no pickle."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from qsr_edge.codec import Decoder
from qsr_edge.errors import CheckpointError
from qsr_edge.files import atomic_write
from qsr_edge.nn.config import NetworkConfig, Shapes
from qsr_edge.nn.registry import ARCHITECTURES
from qsr_edge.nn.state_dict import is_torch_file, torch_file_advice

CHECKPOINT_FORMAT = "qsr-edge-checkpoint"
"""Under ``format`` in the metadata of every checkpoint."""
_VERSION = 1
_CONFIG = Decoder(error=CheckpointError, takes_null=True)
_CONFIG_LIMIT_BYTES = 1 << 20
_PROVENANCE_LIMIT_BYTES = 1 << 24
_REMEDY = "give a checkpoint written by 'qsr-edge train'"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained network.

    Attributes:
        config: shape and arithmetic.
        tensors: float32 arrays by parameter name, as listed by :func:`expected_shapes`.
        provenance: how it was trained: recipe, data, figures; JSON values.
    """

    config: NetworkConfig
    tensors: dict[str, NDArray[np.float32]]
    provenance: dict[str, object] = field(default_factory=dict)


def expected_shapes(config: NetworkConfig) -> Shapes:
    """Name and shape of every tensor that a checkpoint of this configuration holds; convolution weights are OIHW."""
    return config.tensor_shapes()


def _check(config: NetworkConfig, tensors: dict[str, NDArray[np.float32]], source: str) -> None:
    expected = expected_shapes(config)
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise CheckpointError(f"{source}: the tensor {name!r} is missing; {_REMEDY}")
        if name not in expected:
            raise CheckpointError(f"{source}: unexpected tensor {name!r}; {_REMEDY}")
        array = tensors[name]
        if array.dtype != np.float32 or array.shape != expected[name]:
            raise CheckpointError(
                f"{source}: {name} is {array.dtype} {array.shape}, expected float32 {expected[name]}; {_REMEDY}"
            )
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"{source}: {name} holds NaN or infinite values; train again from an earlier checkpoint"
            )
        if name.endswith("step") and not (array > 0).all():
            raise CheckpointError(f"{source}: {name} holds a step size that is not positive; {_REMEDY}")
        if name.endswith("exponent") and not ((array >= 1) & (array <= 24) & (array == np.floor(array))).all():
            raise CheckpointError(f"{source}: {name} holds a shift that is not an integer in [1, 24]; {_REMEDY}")


def _parse_config(text: str, source: str) -> NetworkConfig:
    where = f"{source}: the network configuration"
    table = _CONFIG.parse_json(text.encode(), where, limit_bytes=_CONFIG_LIMIT_BYTES)
    if not isinstance(table, dict):
        raise CheckpointError(f"{where} is not a table; {_REMEDY}")
    try:
        kind = ARCHITECTURES.find(table.pop("architecture", None)).config_type
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from error
    missing = [field.name for field in fields(kind) if field.name not in table and field.name not in kind.late_fields]
    if missing:
        raise CheckpointError(f"{where} has no {missing[0]}; {_REMEDY}")
    return _CONFIG.decode(kind, table, where)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        CheckpointError: if the file cannot be read, is cut or foreign, or its tensors do not fit its configuration.
    """
    try:
        # Asked first: safetensors calls a file that may not be read one that is not there.
        with path.open("rb"):
            pass
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error
    if is_torch_file(path):
        raise CheckpointError(f"{path}: {torch_file_advice(path)}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != CHECKPOINT_FORMAT:
                raise CheckpointError(f"{path}: not a qsr-edge checkpoint; {_REMEDY}")
            if metadata.get("version") != str(_VERSION):
                raise CheckpointError(
                    f"{path}: checkpoint version {metadata.get('version')}, this release reads {_VERSION}; "
                    "update qsr-edge"
                )
            config = _parse_config(metadata.get("config", ""), str(path))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error}); {_REMEDY}") from error
    _check(config, tensors, str(path))
    text = metadata.get("provenance", "{}").encode()
    provenance = _CONFIG.parse_json(text, f"{path}: the provenance", limit_bytes=_PROVENANCE_LIMIT_BYTES)
    if not isinstance(provenance, dict):
        raise CheckpointError(f"{path}: the provenance is not a table; {_REMEDY}")
    return Checkpoint(config=config, tensors=tensors, provenance=provenance)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, checked as on reading.

    Raises:
        CheckpointError: if the tensors do not fit the configuration.
        OSError: if the file cannot be written; nothing is left under its name.
    """
    _check(checkpoint.config, checkpoint.tensors, str(path))
    config = {"architecture": checkpoint.config.architecture, **asdict(checkpoint.config)}
    metadata = {
        "format": CHECKPOINT_FORMAT,
        "version": str(_VERSION),
        "config": json.dumps(config, sort_keys=True),
        "provenance": json.dumps(checkpoint.provenance, sort_keys=True),
    }
    tensors = {name: np.array(array, order="C") for name, array in checkpoint.tensors.items()}
    atomic_write(path, save(tensors, metadata))
