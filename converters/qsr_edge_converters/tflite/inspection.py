"""What a .tflite file consists of."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from qsr_edge.conversion.backend import InspectedModel, counted
from qsr_edge_converters.tflite.costs import model_costs
from qsr_edge_converters.tflite.file_model import FileModel, FileSubgraph
from qsr_edge_converters.tflite.format import METADATA_NAME, Operator, TensorType
from qsr_edge_converters.tflite.reading import read_model_file

INTEGER_TYPES = frozenset({TensorType.INT4, TensorType.INT8, TensorType.UINT8, TensorType.INT32})


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgraphReport:
    """What a subgraph consists of.

    Attributes:
        name: its name in the file.
        operators: how often each operator occurs.
        tensor_types: how often each element type occurs, constants included.
    """

    name: str
    operators: Mapping[str, int]
    tensor_types: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What a file consists of.

    Attributes:
        size_bytes: of the file.
        description: the file's own.
        signatures: names that it can be called by.
        subgraphs: in the file's order.
        first_float_tensor: ``subgraph/tensor (type)`` of the first tensor that is not int4, int8, uint8 or int32.
        metadata: what qsr-edge wrote of the model; empty if it was written by something else.
    """

    size_bytes: int
    description: str
    signatures: tuple[str, ...]
    subgraphs: tuple[SubgraphReport, ...]
    first_float_tensor: str | None
    metadata: Mapping[str, Any]

    @property
    def integer_only(self) -> bool:
        """Whether every tensor, activation or constant, is of an integer type."""
        return self.first_float_tensor is None


def inspect_model(path: Path) -> ModelReport:
    """Say what a .tflite file consists of; it may come from elsewhere.

    Raises:
        BackendError: if the file is missing or damaged.
    """
    model = read_model_file(path, ours=False)
    return ModelReport(
        size_bytes=len(model.content),
        description=model.description,
        signatures=tuple(model.signatures),
        subgraphs=tuple(_subgraph_report(subgraph) for subgraph in model.subgraphs),
        first_float_tensor=_first_float_tensor(model),
        metadata=_metadata(model),
    )


def _subgraph_report(subgraph: FileSubgraph) -> SubgraphReport:
    operators = Counter(_operator_name(operator.code) for operator in subgraph.operators)
    types = Counter(_type_name(tensor.type) for tensor in subgraph.tensors)
    return SubgraphReport(
        name=subgraph.name, operators=MappingProxyType(dict(operators)), tensor_types=MappingProxyType(dict(types))
    )


def _first_float_tensor(model: FileModel) -> str | None:
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.type not in INTEGER_TYPES:
                return f"{subgraph.name}/{tensor.name} ({_type_name(tensor.type)})"
    return None


def _operator_name(code: int) -> str:
    return Operator(code).name if code in Operator.__members__.values() else f"operator {code}"


def _type_name(code: int) -> str:
    return TensorType(code).name.lower() if code in TensorType.__members__.values() else f"type {code}"


def _metadata(model: FileModel) -> Mapping[str, Any]:
    try:
        content = json.loads(model.metadata.get(METADATA_NAME, b"{}"))
    except ValueError:
        return MappingProxyType({})
    return MappingProxyType(content if isinstance(content, dict) else {})


def inspected(report: ModelReport, path: Path) -> InspectedModel:
    """What a report says, as ``qsr-edge inspect`` shows it; with the costs of a file that qsr-edge wrote.

    Raises:
        BackendError: if the file is damaged.
    """
    facts: dict[str, str | int] = {"description": report.description}
    # The metadata is whatever the file holds under our name.
    for key in ("name", "version", "author", "licence", "scale", "bits", "profile", "storage"):
        if isinstance(value := report.metadata.get(key), str | int):
            facts[key] = value
    facts["signatures"] = ", ".join(report.signatures) or "none"
    for subgraph in report.subgraphs:
        facts[f"subgraph {subgraph.name}"] = counted({**subgraph.operators, **subgraph.tensor_types})
    return InspectedModel(
        size_bytes=report.size_bytes,
        facts=facts,
        first_float=report.first_float_tensor,
        costs=model_costs(path) if report.metadata.get("depths") else {},
    )
