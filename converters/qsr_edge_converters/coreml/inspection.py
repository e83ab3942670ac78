"""What an .mlpackage consists of, read from its files."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from qsr_edge.conversion.backend import InspectedModel, counted
from qsr_edge_converters.coreml.package import Constant, Function, Operation, read_package

_FLOATS = ("fp16", "fp32")
_MINIMUM_OS = {8: "iOS 17, macOS 14", 9: "iOS 18, macOS 15"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionReport:
    """What a function consists of.

    Attributes:
        name: what it is called by.
        opset: the operator set.
        sizes: images that it takes, in words.
        operators: how often each occurs, constants left out.
        weight_types: how many constants of each element type lie in the weight file.
        float_operators: how often each makes floats; empty if none does.
        first_float: name and type of the first operation that makes floats; None if there is none.
    """

    name: str
    opset: str
    sizes: str
    operators: Mapping[str, int]
    weight_types: Mapping[str, int]
    float_operators: Mapping[str, int]
    first_float: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReport:
    """What a package consists of.

    Attributes:
        size_bytes: of all its files.
        weight_bytes: of the weight file.
        minimum_os: the oldest systems that load its version of Core ML.
        facts: author, licence and so on, as Xcode shows them.
        functions: by name.
    """

    size_bytes: int
    weight_bytes: int
    minimum_os: str
    facts: Mapping[str, str]
    functions: tuple[FunctionReport, ...]

    @property
    def first_float(self) -> str | None:
        """The first operation on floats, with its function; None if there is none."""
        found = ((report.name, report.first_float) for report in self.functions if report.first_float)
        return next((f"{function}: {operation}" for function, operation in found), None)

    @property
    def float_operators(self) -> Mapping[str, int]:
        """How often each operator makes floats, in all functions together."""
        return sum((Counter(report.float_operators) for report in self.functions), Counter[str]())


def inspect_package(path: Path) -> PackageReport:
    """Say what an .mlpackage consists of.

    Raises:
        BackendError: if it is missing or damaged, or holds what is not known here.
    """
    package = read_package(path)
    version = package.specification_version
    return PackageReport(
        size_bytes=package.size_bytes,
        weight_bytes=package.weight_bytes,
        minimum_os=_MINIMUM_OS.get(version, f"specification version {version}"),
        facts=package.facts,
        functions=tuple(_function_report(function) for function in package.functions.values()),
    )


def inspected(report: PackageReport) -> InspectedModel:
    """What a report says, as ``qsr-edge inspect`` shows it; the first float, with all operators that make some."""
    facts: dict[str, str | int] = {key: value for key, value in report.facts.items() if value}
    facts["oldest systems"] = report.minimum_os
    facts["bytes of weights"] = report.weight_bytes
    for function in report.functions:
        facts[f"{function.name}, input"] = function.sizes
        facts[f"{function.name}, {function.opset}"] = counted(function.operators)
        facts[f"{function.name}, on floats"] = counted(function.float_operators) or "nothing"
        facts[f"{function.name}, stored constants"] = counted(function.weight_types)
    first_float = report.first_float
    if first_float:
        first_float += f", the first of {counted(report.float_operators)}"
    return InspectedModel(size_bytes=report.size_bytes, facts=facts, first_float=first_float)


def _constants(operation: Operation) -> list[Constant]:
    given = [argument for argument in operation.inputs.values() if isinstance(argument, Constant)]
    return [*given, *([operation.value] if operation.value else [])]


def _function_report(function: Function) -> FunctionReport:
    operations = [operation for operation in function.operations if operation.type != "const"]
    stored = [
        constant.type.kind.name
        for operation in function.operations
        for constant in _constants(operation)
        if constant.in_blob and constant.type.kind
    ]
    floats = [
        (operation, operation.output.kind.name)
        for operation in operations
        if operation.output.kind and operation.output.kind.name in _FLOATS
    ]
    return FunctionReport(
        name=function.name,
        opset=function.opset,
        sizes=str(function.sizes),
        operators=MappingProxyType(dict(Counter(operation.type for operation in operations))),
        weight_types=MappingProxyType(dict(Counter(stored))),
        float_operators=MappingProxyType(dict(Counter(operation.type for operation, _ in floats))),
        first_float=next((f"{operation.name} ({operation.type}, {kind})" for operation, kind in floats), None),
    )
