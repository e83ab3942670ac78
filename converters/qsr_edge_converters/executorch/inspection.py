"""Looks into .pte files: which operators run where, on which types. Decodes what is in the file; trusts no metadata."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsr_edge.conversion.backend import InspectedModel, counted
from qsr_edge.errors import BackendError, one_line
from qsr_edge.files import temporary_folder
from qsr_edge.graph.ir import Graph, QuantizeInput
from qsr_edge_converters.executorch.kernels import XNNPACK_DELEGATE
from qsr_edge_converters.executorch.sdk import check_sdk

IDENTIFIERS = (b"ET12", b"ET13")
"""The identifiers at bytes 4 to 7 of every file."""
ALLOWED_OPERATORS = frozenset({"aten::bitwise_xor.Scalar_out", "dim_order_ops::_to_dim_order_copy.out"})
"""What may run outside the delegate: flipping the sign bit, and calling the bytes signed or unsigned."""
INTEGER_TYPES = frozenset({"xnn_datatype_qint8", "xnn_datatype_qcint8", "xnn_datatype_qint32", "xnn_datatype_qcint32"})
_INTEGERS = {0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 11: "bool"}
"""ExecuTorch's scalar types that hold integers; what is not listed here counts as float."""
_SCALAR_TYPES = {**_INTEGERS, 5: "float16", 6: "float32", 7: "float64", 15: "bfloat16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateReport:
    """A part of a method that XNNPACK runs.

    Attributes:
        nodes: operators in the order they run, e.g. ``XNNConv2d``.
        tensor_types: how many tensors there are of each type.
        float_values: what is not integer: ``node 3 (XNNAdd): output xnn_datatype_fp32``.
    """

    nodes: tuple[str, ...]
    tensor_types: Mapping[str, int]
    float_values: tuple[str, ...]

    @property
    def operators(self) -> Mapping[str, int]:
        """How many there are of each."""
        return Counter(self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodReport:
    """An entry point.

    Attributes:
        name: what it is called.
        operators: calls of kernels outside any delegate, by name.
        tensor_types: types of the tensors outside, counted.
        delegates: in the order of the program.
        planned_bytes: memory reserved for tensors outside the delegates when it is loaded.
    """

    name: str
    operators: Mapping[str, int]
    tensor_types: Mapping[str, int]
    delegates: tuple[DelegateReport, ...]
    planned_bytes: int

    @property
    def first_float(self) -> str | None:
        """What is not integer, if anything."""
        for index, delegate in enumerate(self.delegates):
            if delegate.float_values:
                return f"delegate {index}, {delegate.float_values[0]}"
        floats = sorted(self.tensor_types.keys() - _INTEGERS.values())
        return f"a {floats[0]} tensor outside the delegate" if floats else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PteReport:
    """What a file holds."""

    name: str
    size_bytes: int
    methods: tuple[MethodReport, ...]

    @property
    def first_float(self) -> str | None:
        """What is not integer, if anything."""
        found = ((method.name, method.first_float) for method in self.methods)
        return next((f"method {name}, {what}" for name, what in found if what), None)


def inspect_pte(path: Path) -> PteReport:
    """Decode a file.

    Raises:
        BackendError: if it is damaged, no .pte file, or the SDK is missing.
        OSError: if it cannot be read.
    """
    return inspect_pte_content(path.read_bytes(), str(path))


def inspected(report: PteReport) -> InspectedModel:
    """What a report says, as ``qsr-edge inspect`` shows it."""
    facts: dict[str, str | int] = {"methods": ", ".join(method.name for method in report.methods)}
    for method in report.methods:
        for index, delegate in enumerate(method.delegates):
            facts[f"{method.name}, delegate {index}"] = counted({**delegate.operators, **delegate.tensor_types})
        facts[f"{method.name}, outside"] = counted({**method.operators, **method.tensor_types}) or "nothing"
        facts[f"{method.name}, bytes reserved outside"] = method.planned_bytes
    return InspectedModel(size_bytes=report.size_bytes, facts=facts, first_float=report.first_float)


def inspect_pte_content(content: bytes, name: str) -> PteReport:
    """As :func:`inspect_pte`, for a file's content."""
    check_sdk()
    program = _decoded(content, name).program
    with _damage_reported(name):
        methods = tuple(_method(plan, program) for plan in program.execution_plan)
    return PteReport(name=name, size_bytes=len(content), methods=methods)


def _decoded(content: bytes, name: str) -> Any:
    from executorch.exir._serialize._program import deserialize_pte_binary

    if content[4:8] not in IDENTIFIERS:
        raise BackendError(f"{name}: no ExecuTorch program, its identifier is {content[4:8]!r}; convert anew")
    with _damage_reported(name):
        return deserialize_pte_binary(content)


@contextlib.contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # the decoder raises many kinds for a damaged file; all mean the same to the user
        text = one_line(error) or type(error).__name__
        raise BackendError(f"{name}: this ExecuTorch program is damaged ({text}); convert anew") from error


def has_own_weights(content: bytes, name: str) -> bool:
    """Whether a program holds its weights itself, and not in a .ptd file; errors as :func:`inspect_pte`."""
    decoded = _decoded(content, name)
    with _damage_reported(name):
        delegated = any(plan.delegates for plan in decoded.program.execution_plan)
    return not delegated or bool(decoded.named_data and decoded.named_data.pte_data)


def _method(plan: Any, program: Any) -> MethodReport:
    operators: Counter[str] = Counter()
    for chain in plan.chains:
        for instruction in chain.instructions:
            arguments = instruction.instr_args
            if type(arguments).__name__ == "KernelCall":
                operator = plan.operators[arguments.op_index]
                operators[f"{operator.name}.{operator.overload}"] += 1
    types: Counter[str] = Counter()
    for value in plan.values:
        if type(value.val).__name__ == "Tensor":
            types[_SCALAR_TYPES.get(int(value.val.scalar_type), f"type {int(value.val.scalar_type)}")] += 1
    delegates = []
    for delegate in plan.delegates:
        if delegate.id != XNNPACK_DELEGATE:
            raise BackendError(f"method {plan.name}: a delegate for {delegate.id}, expected {XNNPACK_DELEGATE}")
        payload = program.backend_delegate_data[delegate.processed.index].data
        delegates.append(_xnnpack_delegate(bytes(payload)))
    return MethodReport(
        name=plan.name,
        operators=operators,
        tensor_types=types,
        delegates=tuple(delegates),
        planned_bytes=sum(plan.non_const_buffer_sizes),
    )


def _decoded_xnnpack_graph(payload: bytes) -> dict[str, Any]:
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    header = xnnpack_graph_serialize.XNNHeader.from_bytes(payload[: xnnpack_graph_serialize.XNNHeader.EXPECTED_LENGTH])
    graph = payload[header.flatbuffer_offset : header.flatbuffer_offset + header.flatbuffer_size]
    schema = Path(xnnpack_graph_serialize.__file__).parent / "schema.fbs"
    with temporary_folder("inspect") as folder:
        binary = folder / "graph.bin"
        binary.write_bytes(graph)
        _flatc_decompile(str(folder), str(schema), str(binary), ["--raw-binary"])
        decoded: dict[str, Any] = json.loads(binary.with_suffix(".json").read_bytes())
    return decoded


def _xnnpack_delegate(payload: bytes) -> DelegateReport:
    graph = _decoded_xnnpack_graph(payload)
    types: dict[int, str] = {}
    for value in graph["xvalues"]:
        union = value["xvalue_union"]
        tensor = union.get("tensor_value", union)
        types[tensor["id_out"]] = tensor["datatype"]
    nodes, floats = [], []
    for index, node in enumerate(graph["xnodes"]):
        kind = node["xnode_union_type"].lstrip("_")
        nodes.append(kind)
        for key, value in node["xnode_union"].items():
            if key.endswith("_id") and value in types and types[value] not in INTEGER_TYPES:
                floats.append(f"node {index} ({kind}): {key.removesuffix('_id')} {types[value]}")
    return DelegateReport(nodes=tuple(nodes), tensor_types=Counter(types.values()), float_values=tuple(floats))


def check_integer_only(report: PteReport, method: str, graph: Graph) -> None:
    """Refuse a program that does not run a graph as int8 in one delegate.

    Raises:
        BackendError: naming the node of the graph, or the operator, that was left outside or in floats.
    """
    found = next(entry for entry in report.methods if entry.name == method)
    outside = sorted(found.operators.keys() - ALLOWED_OPERATORS)
    if outside or len(found.delegates) != 1:
        raise BackendError(
            f"{report.name}, {method}: {', '.join(outside) or 'nothing'} runs outside the delegate and there are "
            f"{len(found.delegates)} delegates, expected one with the whole graph; report it with ExecuTorch's version"
        )
    delegate = found.delegates[0]
    names = [node.name for node in graph.nodes if not isinstance(node, QuantizeInput)]
    if delegate.float_values:
        index = int(delegate.float_values[0].split()[1])
        name = names[index] if len(names) == len(delegate.nodes) else "unknown"
        raise BackendError(f"{report.name}: graph node {name} was lowered in floats: {delegate.float_values[0]}")
    if len(names) != len(delegate.nodes):
        raise BackendError(
            f"{report.name}, {method}: {len(delegate.nodes)} XNNPACK nodes for {len(names)} of the graph: "
            f"{dict(delegate.operators)}; report this with ExecuTorch's version"
        )
