"""What a .tflite file holds, as read by ``reading`` and judged by ``checking``."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qsr_edge_converters.tflite.flatbuffer_reading import Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileTensor:
    """A tensor: ``shape_signature`` has -1 where the size is open, ``content`` is empty for an activation."""

    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    type: int
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int
    content: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOperator:
    """An operator: its code and version, and the indices of the tensors it reads and writes."""

    code: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSubgraph:
    """A subgraph."""

    name: str
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSignature:
    """A callable subgraph: argument names to tensor indices."""

    subgraph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileModel:
    """A whole file."""

    content: bytes
    description: str
    subgraphs: tuple[FileSubgraph, ...]
    signatures: Mapping[str, FileSignature]
    metadata: Mapping[str, bytes]
