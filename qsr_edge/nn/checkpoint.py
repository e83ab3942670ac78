"""Checkpoints: safetensors with the network's configuration and provenance as JSON metadata. No torch, no pickle."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from qsr_edge.data.atomic import atomic_write
from qsr_edge.errors import CheckpointError
from qsr_edge.nn.config import ArchitectureName, EdgeConfig, Profile

_FORMAT = "qsr-edge-checkpoint"
_VERSION = 1
_REMEDY = "give a checkpoint written by 'qsr-edge train'"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained network.

    Attributes:
        config: shape and arithmetic.
        tensors: float32 arrays by parameter name, as listed by :func:`expected_shapes`.
        provenance: how it was trained: recipe, data, figures; JSON values.
    """

    config: EdgeConfig
    tensors: dict[str, NDArray[np.float32]]
    provenance: dict[str, object] = field(default_factory=dict)


def expected_shapes(config: EdgeConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a checkpoint of this configuration holds; convolution weights are OIHW."""
    width, outputs = config.channels, 3 * config.scale**2
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, inputs: int, channels: int) -> None:
        shapes[f"{name}.weight"] = (channels, inputs, 3, 3)
        shapes[f"{name}.bias"] = (channels,)
        if config.bits:
            shapes[f"{name}.exponent" if config.profile is Profile.PORTABLE else f"{name}.step"] = (channels,)

    convolution("head", 3, width)
    for i in range(config.blocks):
        convolution(f"body.{i}.conv1", width, width)
        convolution(f"body.{i}.conv2", width, width)
        shapes[f"body.{i}.importance"] = ()
        if config.bits:
            shapes[f"body.{i}.quant1.step"] = ()
            shapes[f"body.{i}.quant1.shift"] = (width,)
            shapes[f"body.{i}.quant2.step"] = ()
    convolution("tail", width, outputs)
    if config.depth_biases:
        shapes["tail_depth_bias"] = (len(config.depths), outputs)
    if config.bits:
        shapes["stream_step"] = ()
    return shapes


def _check(config: EdgeConfig, tensors: dict[str, NDArray[np.float32]], source: str) -> None:
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


def _parse_config(text: str, source: str) -> EdgeConfig:
    try:
        table = json.loads(text)
        if table.pop("architecture") not in list(ArchitectureName):
            raise CheckpointError(f"{source}: unknown architecture; known are {', '.join(ArchitectureName)}")
        for key in ("scale", "channels", "blocks", "bits"):
            if type(table[key]) is not int and not (key == "bits" and table[key] is None):
                raise TypeError(f"{key} = {table[key]!r}")
        # Absent in checkpoints older than the key.
        if type(table.setdefault("depth_biases", False)) is not bool:
            raise TypeError(f"depth_biases = {table['depth_biases']!r}")
        for key in ("depths", "order"):
            table[key] = tuple(int(entry) for entry in table[key])
        return EdgeConfig(**{**table, "profile": Profile(table["profile"])})
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: the network configuration is damaged ({error}); {_REMEDY}") from error


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
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
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
    try:
        provenance = json.loads(metadata.get("provenance", "{}"))
    except ValueError as error:
        raise CheckpointError(f"{path}: the provenance is damaged ({error}); {_REMEDY}") from error
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
    config = {"architecture": ArchitectureName.QUANTSR_C_EDGE, **asdict(checkpoint.config)}
    metadata = {
        "format": _FORMAT,
        "version": str(_VERSION),
        "config": json.dumps(config, sort_keys=True),
        "provenance": json.dumps(checkpoint.provenance, sort_keys=True),
    }
    tensors = {name: np.array(array, order="C") for name, array in checkpoint.tensors.items()}
    atomic_write(path, save(tensors, metadata))
