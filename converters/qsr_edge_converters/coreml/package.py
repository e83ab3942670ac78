"""Reading an .mlpackage: what the shipped files say, checked, as plain records. Nothing of the writer is used."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError, one_line
from qsr_edge_converters.coreml.blob import (
    BOOL,
    FLOAT16,
    FLOAT32,
    INT4,
    INT8,
    INT32,
    UINT2,
    UINT3,
    UINT4,
    UINT6,
    UINT8,
    ElementType,
    WeightBlobs,
    unpack_elements,
)
from qsr_edge_converters.native_messages import quiet_sdk

MANIFEST_NAME = "Manifest.json"
OPSETS = ("CoreML7", "CoreML8")
"""Operator sets of iOS 17 and iOS 18: those whose operators the executor knows."""
LIMIT_BYTES = 1 << 28
_ELEMENTS_LIMIT = 1 << 26
_WEIGHTS_FILE = "@model_path/weights/weight.bin"
_REMEDY = "convert anew"

# Numbers of MIL's data types (MIL.proto, enum DataType).
_ELEMENT_TYPES = {
    1: BOOL,
    10: FLOAT16,
    11: FLOAT32,
    21: INT8,
    23: INT32,
    25: INT4,
    31: UINT8,
    35: UINT4,
    36: UINT2,
    38: UINT6,
    39: UINT3,
}
_STRING = 2
_VARIADIC = frozenset({"concat"})
"""Operators with parameters of several values, which are ``<parameter>.<i>`` here."""
_RGB = 20  # ImageFeatureType.ColorSpace (FeatureTypes.proto)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorType:
    """Type of a tensor: its elements, and its shape with None for what is open; ``kind`` None is a string."""

    kind: ElementType | None
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constant:
    """A value in the file: an array, or text; ``in_blob``: whether it lies in the weight file."""

    type: TensorType
    value: NDArray[Any] | str
    in_blob: bool


Argument = str | Constant
"""The name of what another operation made, or a value."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One operation of a program.

    Attributes:
        type: MIL's name of the operator.
        name: of its output.
        inputs: by parameter; of several values by ``<parameter>.<i>``.
        output: type of what it makes.
        value: of a ``const``, otherwise None.
    """

    type: str
    name: str
    inputs: Mapping[str, Argument]
    output: TensorType
    value: Constant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSizes:
    """Sizes that an image may have: any of ``listed`` (height, width), or all in the ranges if it is empty.

    Attributes:
        listed: every size, the default one first.
        heights: smallest and largest; the largest may be None.
        widths: smallest and largest; the largest may be None.
    """

    listed: tuple[tuple[int, int], ...] = ()
    heights: tuple[int, int | None] = (1, None)
    widths: tuple[int, int | None] = (1, None)

    def allow(self, height: int, width: int) -> bool:
        """Whether an image of this size may be given."""
        if self.listed:
            return (height, width) in self.listed
        pairs = ((height, self.heights), (width, self.widths))
        return all(low <= side and (high is None or side <= high) for side, (low, high) in pairs)

    def __str__(self) -> str:
        """For messages and reports: width x height."""
        if self.listed:
            return ", ".join(f"{width}x{height}" for height, width in self.listed)
        (low_h, high_h), (low_w, high_w) = self.heights, self.widths
        return f"{low_w}x{low_h} to {high_w or 'any'}x{high_h or 'any'}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function:
    """A function of a program: an image in, an image out.

    Attributes:
        name: what it is called by.
        opset: the operator set.
        input: name of the image that goes in.
        input_type: its tensor.
        sizes: that the image may have.
        operations: in order of execution.
        output: name of what comes out.
    """

    name: str
    opset: str
    input: str
    input_type: TensorType
    sizes: ImageSizes
    operations: tuple[Operation, ...]
    output: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Package:
    """An .mlpackage.

    Attributes:
        size_bytes: of all its files.
        weight_bytes: of the weight file.
        specification_version: Core ML's; 8 came with iOS 17, 9 with iOS 18.
        functions: by name.
        default_function: the one that runs if none is named.
        facts: author, licence, version and so on, as Xcode shows them.
    """

    size_bytes: int
    weight_bytes: int
    specification_version: int
    functions: Mapping[str, Function]
    default_function: str
    facts: Mapping[str, str]


def read_package(path: Path) -> Package:
    """Read a package whole.

    Raises:
        BackendError: if it is missing, cut, damaged, or holds what is not known here.
    """
    root = _root_model(path)
    specification = _read(root)
    with quiet_sdk():
        from google.protobuf.message import DecodeError

        from qsr_edge_converters.coreml.messages import model_proto

    model = model_proto.Model()
    try:
        model.ParseFromString(specification)
    except (DecodeError, RecursionError) as error:
        raise BackendError(f"{root}: not a Core ML model, or cut ({error}); {_REMEDY}") from error
    if model.WhichOneof("Type") != "mlProgram" or not model.mlProgram.functions:
        raise BackendError(f"{root}: {model.WhichOneof('Type') or 'nothing'}, expected an ML program; {_REMEDY}")
    weights = root.parent / "weights" / "weight.bin"
    content = _read(weights) if weights.is_file() else None
    blobs = None if content is None else WeightBlobs(content, str(weights))
    reader = _ProgramReader(str(root), blobs)
    description = model.description
    try:
        functions = {
            name: reader.function(name, function, _interface(description, name, str(root)))
            for name, function in sorted(model.mlProgram.functions.items())
        }
    except (ValueError, OverflowError, UnicodeDecodeError) as error:
        raise BackendError(f"{root}: damaged ({one_line(error)}); {_REMEDY}") from error
    default = description.defaultFunctionName or "main"
    if default not in functions:
        raise BackendError(f"{root}: has no function {default!r}, which is to be the default; {_REMEDY}")
    metadata = description.metadata
    facts = {
        "author": metadata.author,
        "licence": metadata.license,
        "version": metadata.versionString,
        "description": metadata.shortDescription,
        **dict(sorted(metadata.userDefined.items())),
    }
    return Package(
        size_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        weight_bytes=len(content or b""),
        specification_version=model.specificationVersion,
        functions=MappingProxyType(functions),
        default_function=default,
        facts=MappingProxyType(facts),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise BackendError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    if len(content) > LIMIT_BYTES:
        raise BackendError(f"{path}: more than {LIMIT_BYTES} bytes; {_REMEDY}")
    return content


def _root_model(package: Path) -> Path:
    """The file that the package's own manifest names as its model."""
    source = package / MANIFEST_NAME
    if not source.is_file():
        raise BackendError(f"{package}: no {MANIFEST_NAME} in it, so no .mlpackage, or cut; {_REMEDY}")
    try:
        table = json.loads(_read(source))
        name = table["itemInfoEntries"][table["rootModelIdentifier"]]["path"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BackendError(f"{source}: names no model ({error!r}); {_REMEDY}") from error
    if not isinstance(name, str) or not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise BackendError(f"{source}: the path {name!r} leaves the package; {_REMEDY}")
    root = package / "Data" / name
    if not root.resolve().is_relative_to(package.resolve()):
        raise BackendError(f"{source}: the path {name!r} leaves the package; {_REMEDY}")
    return root


def _interface(description: Any, function: str, source: str) -> tuple[Any, Any]:
    """The image that a function takes and the one it gives, as the model describes them."""
    holder = description
    if description.functions:
        found = [entry for entry in description.functions if entry.name == function]
        if len(found) != 1:
            raise BackendError(f"{source}: function {function!r} is described {len(found)} times, expected once")
        holder = found[0]
    features = (*holder.input, *holder.output)
    if len(holder.input) != 1 or len(holder.output) != 1:
        raise BackendError(f"{source}: function {function!r} has {len(features)} inputs and outputs, expected one each")
    for feature in features:
        if feature.type.WhichOneof("Type") != "imageType" or feature.type.imageType.colorSpace != _RGB:
            raise BackendError(f"{source}: {feature.name!r} of {function!r} is no RGB image, expected one; {_REMEDY}")
    return features[0], features[1]


def _sizes(image: Any) -> ImageSizes:
    match image.WhichOneof("SizeFlexibility"):
        case "enumeratedSizes":
            sizes = [(int(size.height), int(size.width)) for size in image.enumeratedSizes.sizes]
            usual = (int(image.height), int(image.width))
            return ImageSizes(listed=(usual, *(size for size in sizes if size != usual)))
        case "imageSizeRange":
            heights, widths = image.imageSizeRange.heightRange, image.imageSizeRange.widthRange
            return ImageSizes(heights=_range(heights), widths=_range(widths))
        case _:
            return ImageSizes(listed=((int(image.height), int(image.width)),))


def _range(found: Any) -> tuple[int, int | None]:
    return int(found.lowerBound), None if found.upperBound < 0 else int(found.upperBound)


class _ProgramReader:
    """Turns protobuf messages into records."""

    def __init__(self, source: str, blobs: WeightBlobs | None):
        self._source = source
        self._blobs = blobs

    def function(self, name: str, message: Any, interface: tuple[Any, Any]) -> Function:
        taken, given = interface
        where = f"{self._source}: function {name!r}"
        if message.opset not in OPSETS:
            raise BackendError(
                f"{where} uses the operator set {message.opset!r}, known are {', '.join(OPSETS)}; {_REMEDY}"
            )
        block = message.block_specializations.get(message.opset)
        if block is None:
            raise BackendError(f"{where} has no body for {message.opset}; {_REMEDY}")
        if [entry.name for entry in message.inputs] != [taken.name] or list(block.outputs) != [given.name]:
            raise BackendError(f"{where} takes and gives other values than the model describes; {_REMEDY}")
        return Function(
            name=name,
            opset=message.opset,
            input=taken.name,
            input_type=self._type(message.inputs[0].type, taken.name),
            sizes=_sizes(taken.type.imageType),
            operations=tuple(self._operation(operation) for operation in block.operations),
            output=given.name,
        )

    def _operation(self, message: Any) -> Operation:
        if len(message.outputs) != 1 or message.blocks:
            raise BackendError(
                f"{self._source}: an operation {message.type!r} has {len(message.outputs)} outputs and "
                f"{len(message.blocks)} blocks, expected one output and no block"
            )
        name = message.outputs[0].name
        inputs: dict[str, Argument] = {}
        for parameter, argument in sorted(message.inputs.items()):
            count = len(argument.arguments)
            if count != 1 and message.type not in _VARIADIC:
                raise BackendError(f"{self._source}: {name}: the parameter {parameter!r} has {count} values")
            for i, binding in enumerate(argument.arguments):
                key = f"{parameter}.{i}" if count > 1 else parameter
                is_name = binding.WhichOneof("binding") == "name"
                inputs[key] = binding.name if is_name else self._value(binding.value, f"{name}.{key}")
        attributes = {key: value for key, value in message.attributes.items() if key != "name"}
        value = None
        if message.type == "const":
            if attributes.keys() != {"val"}:
                raise BackendError(
                    f"{self._source}: const {name} holds {', '.join(attributes) or 'nothing'}; {_REMEDY}"
                )
            value = self._value(attributes["val"], name)
        else:
            # Operators of iOS 16 that expand weights have them here, later ones among the inputs.
            inputs.update({key: self._value(entry, f"{name}.{key}") for key, entry in sorted(attributes.items())})
        output = self._type(message.outputs[0].type, name)
        return Operation(type=message.type, name=name, inputs=MappingProxyType(inputs), output=output, value=value)

    def _type(self, message: Any, name: str) -> TensorType:
        tensor = message.tensorType
        kind = _ELEMENT_TYPES.get(tensor.dataType)
        if message.WhichOneof("type") != "tensorType" or (kind is None and tensor.dataType != _STRING):
            raise BackendError(
                f"{self._source}: {name} is of the type {tensor.dataType or message.WhichOneof('type')}, which is not "
                "known here"
            )
        if len(tensor.dimensions) != tensor.rank:
            raise BackendError(
                f"{self._source}: {name} has {len(tensor.dimensions)} dimensions, its rank is {tensor.rank}"
            )
        shape = tuple(
            int(size.constant.size) if size.WhichOneof("dimension") == "constant" else None
            for size in tensor.dimensions
        )
        return TensorType(kind=kind, shape=shape)

    def _value(self, message: Any, name: str) -> Constant:
        found = self._type(message.type, name)
        if None in found.shape or math.prod(size or 0 for size in found.shape) > _ELEMENTS_LIMIT:
            raise BackendError(f"{self._source}: the constant {name} has the shape {found.shape}; {_REMEDY}")
        shape = tuple(size or 0 for size in found.shape)
        count = math.prod(shape)
        where = message.WhichOneof("value")
        if found.kind is None:
            texts = message.immediateValue.tensor.strings.values
            if len(texts) != 1:
                raise BackendError(f"{self._source}: {name} holds {len(texts)} texts, expected one; {_REMEDY}")
            return Constant(type=found, value=str(texts[0]), in_blob=False)
        if where == "blobFileValue":
            reference = message.blobFileValue
            if reference.fileName != _WEIGHTS_FILE or self._blobs is None:
                raise BackendError(
                    f"{self._source}: {name} lies in {reference.fileName!r}, which is not here; {_REMEDY}"
                )
            flat = self._blobs.read(int(reference.offset), found.kind, count)
            return Constant(type=found, value=flat.reshape(shape), in_blob=True)
        flat = self._immediate(message.immediateValue.tensor, found.kind, count, name)
        if flat.size != count:
            raise BackendError(f"{self._source}: {name} holds {flat.size} elements, expected {count}; {_REMEDY}")
        return Constant(type=found, value=flat.reshape(shape), in_blob=False)

    def _immediate(self, tensor: Any, kind: ElementType, count: int, name: str) -> NDArray[Any]:
        match tensor.WhichOneof("value"):
            case "floats" if kind is FLOAT32:
                return np.array(tensor.floats.values, np.float32)
            case "ints" if kind is INT32:
                return np.array(tensor.ints.values, np.int32)
            case "bools" if kind is BOOL:
                return np.array(tensor.bools.values, np.bool_)
            case "bytes":
                content = bytes(tensor.bytes.values)
                if len(content) != -(-count * kind.bits // 8):
                    raise BackendError(
                        f"{self._source}: {name} holds {len(content)} bytes, expected {count * kind.bits} bits"
                    )
                return unpack_elements(content, kind, count)
            case other:
                raise BackendError(f"{self._source}: {name} of type {kind.name} is stored as {other}, not known here")
