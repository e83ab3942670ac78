"""Executing a function of a saved .mlpackage with numpy, on any machine: slow, to verify what was shipped.

Semantics are those of Apple's MIL operator reference. Where it leaves a choice, ours is: ``round`` and ``quantize``
round halves to even; an operation on float16 computes in float32 and rounds its result once to float16 (convolutions
sum in float32). The ``exact`` flavour of our programs depends on neither, but for ``round`` in the scaled profile.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qsr_edge.errors import BackendError, one_line
from qsr_edge_converters.coreml.package import Constant, Function, Operation, TensorType

Array = NDArray[Any]
_BAND_BYTES = 32 << 20
"""Size of the columns that a convolution lays out at once."""


class _Arguments:
    """The inputs of one operation, looked up; every one must be asked for, or the operation is not understood."""

    def __init__(self, operation: Operation, values: Mapping[str, Array | str], source: str):
        self._operation = operation
        self._values = values
        self._source = source
        self._asked: set[str] = set()

    def fail(self, text: str) -> BackendError:
        operation = self._operation
        return BackendError(f"{self._source}: {operation.type} {operation.name}: {text}")

    def _find(self, parameter: str) -> Array | str | None:
        self._asked.add(parameter)
        argument = self._operation.inputs.get(parameter)
        if argument is None:
            return None
        if isinstance(argument, Constant):
            return argument.value
        if argument not in self._values:
            raise self.fail(f"{parameter} is {argument!r}, which nothing before it makes")
        return self._values[argument]

    def array(self, parameter: str) -> Array:
        found = self._find(parameter)
        if not isinstance(found, np.ndarray):
            raise self.fail(f"{parameter} is {'missing' if found is None else 'a text'}, expected a tensor")
        return found

    def optional(self, parameter: str) -> Array | None:
        return self.array(parameter) if self._find(parameter) is not None else None

    def arrays(self, parameter: str) -> list[Array]:
        count = sum(name.startswith(f"{parameter}.") for name in self._operation.inputs)
        return [self.array(f"{parameter}.{i}") for i in range(count)] or [self.array(parameter)]

    def number(self, parameter: str) -> float:
        return float(self._single(parameter))

    def integer(self, parameter: str, default: int) -> int:
        return default if self._find(parameter) is None else int(self._single(parameter))

    def _single(self, parameter: str) -> Any:
        array = self.array(parameter)
        if array.size != 1:
            raise self.fail(f"{parameter} has {array.size} elements, expected one")
        return array.reshape(())[()]

    def integers(self, parameter: str, default: tuple[int, ...]) -> tuple[int, ...]:
        found = self.optional(parameter)
        return default if found is None else tuple(int(value) for value in found.reshape(-1))

    def text(self, parameter: str) -> str:
        found = self._find(parameter)
        if not isinstance(found, str):
            raise self.fail(f"{parameter} is {'missing' if found is None else 'a tensor'}, expected a text")
        return found

    def check_all_asked(self) -> None:
        unknown = sorted(self._operation.inputs.keys() - self._asked)
        if unknown:
            raise self.fail(f"the parameter {unknown[0]!r} is not known here")


def _rounded(result: Array, like: Array) -> Array:
    """The result of an operation in the type of its input: float16 is rounded once."""
    return result.astype(like.dtype)


def _wide(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _elementwise(operator: Callable[[Array, Array], Array]) -> Callable[[_Arguments], Array]:
    def compute(arguments: _Arguments) -> Array:
        x, y = arguments.array("x"), arguments.array("y")
        if x.dtype != y.dtype:
            raise arguments.fail(f"x is {x.dtype} and y is {y.dtype}, expected one type")
        if y.ndim and x.dtype != np.int32 and np.broadcast_shapes(x.shape, y.shape) != x.shape:
            raise arguments.fail(f"x is {x.shape} and y is {y.shape}, which is not known here")
        return _rounded(operator(_wide(x), _wide(y)), x)

    return compute


def _floor(arguments: _Arguments) -> Array:
    return np.asarray(np.floor(arguments.array("x")))


def _round(arguments: _Arguments) -> Array:
    return np.asarray(np.rint(arguments.array("x")))


def _clip(arguments: _Arguments) -> Array:
    x = arguments.array("x")
    return _rounded(np.clip(x, x.dtype.type(arguments.number("alpha")), x.dtype.type(arguments.number("beta"))), x)


def _cast(arguments: _Arguments) -> Array:
    types = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32}
    wanted = arguments.text("dtype")
    if wanted not in types:
        raise arguments.fail(f"to {wanted!r} is not known here")
    return arguments.array("x").astype(types[wanted])


def _depth_to_space(arguments: _Arguments) -> Array:
    x, block = arguments.array("x"), arguments.integer("block_size", 0)
    batch, channels, height, width = x.shape
    if block < 1 or channels % block**2:
        raise arguments.fail(f"{channels} channels by blocks of {block}")
    split = x.reshape(batch, block, block, channels // block**2, height, width)
    return np.ascontiguousarray(split.transpose(0, 3, 4, 1, 5, 2)).reshape(batch, -1, height * block, width * block)


def _affine(arguments: _Arguments, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Scale and zero point, scalars or vectors along an axis, to broadcast against a tensor of that shape."""
    axis = arguments.integer("axis", 0)
    along = [1] * len(shape)
    along[axis] = -1

    def broadcast(values: Array) -> Array:
        if values.ndim and values.shape != (shape[axis],):
            raise arguments.fail(f"scale or zero point {values.shape} along axis {axis} of {shape}")
        return values.reshape(along) if values.ndim else values

    zero_point = arguments.optional("zero_point")
    zero = np.zeros((), np.float32) if zero_point is None else broadcast(zero_point).astype(np.float32)
    return broadcast(arguments.array("scale")), zero


def _quantize(arguments: _Arguments) -> Array:
    x = arguments.array("input")
    scale, zero_point = _affine(arguments, x.shape)
    types = {"int8": np.int8, "uint8": np.uint8}
    wanted = arguments.text("output_dtype")
    if wanted not in types:
        raise arguments.fail(f"to {wanted!r} is not known here")
    limits = np.iinfo(types[wanted])
    codes = np.rint(_rounded(_wide(x) / _wide(scale), x).astype(np.float32)) + zero_point
    return np.asarray(np.clip(codes, limits.min, limits.max), types[wanted])


def _dequantize(arguments: _Arguments) -> Array:
    codes = arguments.array("input")
    scale, zero_point = _affine(arguments, codes.shape)
    return _rounded((codes.astype(np.float32) - zero_point) * _wide(scale), scale)


def _affine_weights(arguments: _Arguments) -> Array:
    codes = arguments.array("quantized_data")
    scale, zero_point = _affine(arguments, codes.shape)
    return _rounded((codes.astype(np.float32) - zero_point) * _wide(scale), scale)


def _shift_scale(arguments: _Arguments) -> Array:
    codes, scale, offset = arguments.array("data"), arguments.array("scale"), arguments.optional("offset")
    if offset is not None or scale.ndim != codes.ndim:
        raise arguments.fail("an offset, or a scale of another rank than the data, is not known here")
    for size, steps in zip(codes.shape, scale.shape, strict=True):
        if steps not in (1, size):
            raise arguments.fail(f"scales {scale.shape} for data {codes.shape}: blocks are not known here")
    return _rounded(codes.astype(np.float32) * _wide(scale), scale)


def _look_up(arguments: _Arguments) -> Array:
    indices, table = arguments.array("indices"), arguments.array("lut")
    if table.ndim != indices.ndim + 2 or math.prod(table.shape) != table.shape[-2]:
        raise arguments.fail(f"a table {table.shape} for indices {indices.shape}: only one table is known here")
    if int(indices.max(initial=0)) >= table.size:
        raise arguments.fail(f"an index {indices.max()} into a table of {table.size}")
    return table.reshape(-1)[indices]


def _conv(arguments: _Arguments) -> Array:
    x, weight, bias = arguments.array("x"), arguments.array("weight"), arguments.optional("bias")
    groups, pad_type = arguments.integer("groups", 1), arguments.text("pad_type")
    strides, dilations = arguments.integers("strides", (1, 1)), arguments.integers("dilations", (1, 1))
    pads = arguments.integers("pad", (0, 0, 0, 0))
    if pad_type != "custom" or strides != (1, 1) or dilations != (1, 1) or len(pads) != 4:
        raise arguments.fail(f"pad_type {pad_type}, strides {strides}, dilations {dilations} are not known here")
    if x.ndim != 4 or weight.ndim != 4 or len({x.dtype, weight.dtype}) != 1 or min(pads) < 0:
        raise arguments.fail(f"x {x.dtype} {x.shape} and weight {weight.dtype} {weight.shape} are not known here")
    outputs, inputs, kernel_h, kernel_w = weight.shape
    if x.shape[0] != 1 or groups < 1 or outputs % groups or x.shape[1] != inputs * groups:
        raise arguments.fail(f"{x.shape[1]} channels, {groups} groups and weights {weight.shape} do not fit")
    if max(pads[:2]) >= kernel_h or max(pads[2:]) >= kernel_w:
        raise arguments.fail(f"a padding {pads} as wide as the kernel {weight.shape[2:]} is not known here")
    if bias is not None and bias.shape != (outputs,):
        raise arguments.fail(f"a bias {bias.shape} for {outputs} channels")
    padded = np.pad(_wide(x)[0], ((0, 0), pads[:2], pads[2:]))
    height, width = padded.shape[1] - kernel_h + 1, padded.shape[2] - kernel_w + 1
    if height < 1 or width < 1:
        raise arguments.fail(f"an image {x.shape[2:]} is smaller than the kernel")
    # (groups, outputs of a group, taps * inputs of a group), taps first.
    matrix = _wide(weight).reshape(groups, -1, inputs, kernel_h, kernel_w).transpose(0, 1, 3, 4, 2)
    matrix = np.ascontiguousarray(matrix).reshape(groups, outputs // groups, -1)
    result = np.empty((1, outputs, height, width), x.dtype)
    band = max(1, _BAND_BYTES // (4 * width * kernel_h * kernel_w * x.shape[1]))
    for top in range(0, height, band):
        rows = min(band, height - top)
        grouped = padded[:, top : top + rows + kernel_h - 1].reshape(groups, inputs, -1, padded.shape[2])
        taps = [grouped[:, :, i : i + rows, j : j + width] for i in range(kernel_h) for j in range(kernel_w)]
        columns = np.stack(taps, axis=1).reshape(groups, -1, rows * width)
        total = (matrix @ columns).reshape(outputs, rows, width)
        if bias is not None:
            total += _wide(bias)[:, None, None]
        result[0, :, top : top + rows] = total
    return result


def _floor_div(arguments: _Arguments) -> Array:
    x, y = arguments.array("x"), arguments.array("y")
    if not (x.dtype == y.dtype == np.int32) or not y.all():
        raise arguments.fail(f"{x.dtype} by {y.dtype}: only int32 by what is not zero is known here")
    return np.asarray(x // y)


def _less(arguments: _Arguments) -> Array:
    return np.asarray(arguments.array("x") < arguments.array("y"))


def _select(arguments: _Arguments) -> Array:
    return np.where(arguments.array("cond"), arguments.array("a"), arguments.array("b"))


def _reduction(operator: Callable[..., Any]) -> Callable[[_Arguments], Array]:
    def compute(arguments: _Arguments) -> Array:
        x, axes = arguments.array("x"), arguments.integers("axes", ())
        if x.dtype != np.int32 or not axes:
            raise arguments.fail(f"{x.dtype} over {axes}: only int32 over given axes is known here")
        kept = bool(arguments.integer("keep_dims", 0))
        return np.asarray(operator(x.astype(np.int64), axis=axes, keepdims=kept)).astype(np.int32)

    return compute


def _matmul(arguments: _Arguments) -> Array:
    x, y = arguments.array("x"), arguments.array("y")
    transposed = arguments.integer("transpose_x", 0) or arguments.integer("transpose_y", 0)
    if transposed or not x.dtype == y.dtype == np.float32:
        raise arguments.fail(f"{x.dtype} by {y.dtype}, perhaps transposed, is not known here")
    return np.asarray(x @ y)


def _gather(arguments: _Arguments) -> Array:
    x, indices = arguments.array("x"), arguments.array("indices")
    axis, batch = arguments.integer("axis", 0), arguments.integer("batch_dims", 0)
    arguments.optional("validate_indices")
    if x.ndim != 1 or axis or batch or indices.min(initial=0) < 0 or indices.max(initial=0) >= len(x):
        raise arguments.fail(f"from {x.shape} along {axis}: only a table and indices within it are known here")
    return np.asarray(x[indices])


def _reshape(arguments: _Arguments) -> Array:
    return arguments.array("x").reshape(arguments.integers("shape", ()))


def _transpose(arguments: _Arguments) -> Array:
    return np.ascontiguousarray(arguments.array("x").transpose(arguments.integers("perm", ())))


def _slice(arguments: _Arguments) -> Array:
    x, begin, size = arguments.array("x"), arguments.integers("begin", ()), arguments.integers("size", ())
    if not len(begin) == len(size) == x.ndim or min(begin, default=0) < 0 or min(size, default=0) < 0:
        raise arguments.fail(f"{begin} and {size} of {x.shape} is not known here")
    return x[tuple(slice(first, first + count) for first, count in zip(begin, size, strict=True))]


def _concat(arguments: _Arguments) -> Array:
    if arguments.integer("interleave", 0):
        raise arguments.fail("interleaved, which is not known here")
    return np.concatenate(arguments.arrays("values"), arguments.integer("axis", 0))


_OPERATORS: Mapping[str, Callable[[_Arguments], Array]] = {
    "add": _elementwise(np.add),
    "cast": _cast,
    "clip": _clip,
    "constexpr_affine_dequantize": _affine_weights,
    "constexpr_blockwise_shift_scale": _shift_scale,
    "constexpr_lut_to_dense": _look_up,
    "concat": _concat,
    "conv": _conv,
    "depth_to_space": _depth_to_space,
    "dequantize": _dequantize,
    "floor": _floor,
    "floor_div": _floor_div,
    "gather": _gather,
    "less": _less,
    "matmul": _matmul,
    "maximum": _elementwise(np.maximum),
    "minimum": _elementwise(np.minimum),
    "mul": _elementwise(np.multiply),
    "quantize": _quantize,
    "reduce_max": _reduction(np.max),
    "reduce_sum": _reduction(np.sum),
    "reshape": _reshape,
    "round": _round,
    "select": _select,
    "slice_by_size": _slice,
    "sub": _elementwise(np.subtract),
    "transpose": _transpose,
}
_CONSTANT_PREFIX = "constexpr_"


class Executor:
    """A function of a package, its weights expanded; see the module for semantics."""

    def __init__(self, function: Function, source: str):
        """Expand the constants.

        Raises:
            BackendError: naming the operation that is not known here, or that contradicts itself.
        """
        self._function = function
        self._source = source
        self._constants: dict[str, Array | str] = {}
        self._steps: list[Operation] = []
        names = {function.input}
        for operation in function.operations:
            if operation.name in names:
                raise BackendError(f"{source}: two operations make {operation.name!r}")
            names.add(operation.name)
            if operation.type == "const" and operation.value is not None:
                if operation.value.type != operation.output:
                    raise BackendError(f"{source}: const {operation.name} is of another type than it says")
                self._constants[operation.name] = operation.value.value
            elif operation.type.startswith(_CONSTANT_PREFIX):
                self._constants[operation.name] = self._compute(operation, self._constants)
            else:
                self._operator(operation)
                self._steps.append(operation)
        if function.output not in names:
            raise BackendError(f"{source}: nothing makes the output {function.output!r}")
        self._last_use = {
            argument: i
            for i, operation in enumerate(self._steps)
            for argument in operation.inputs.values()
            if isinstance(argument, str)
        }

    def _operator(self, operation: Operation) -> Callable[[_Arguments], Array]:
        operator = _OPERATORS.get(operation.type)
        if operator is None:
            raise BackendError(
                f"{self._source}: the operator {operation.type!r} of {operation.name} is not known here; known are "
                f"{', '.join(_OPERATORS)}"
            )
        return operator

    def _compute(self, operation: Operation, values: Mapping[str, Array | str]) -> Array:
        arguments = _Arguments(operation, values, self._source)
        try:
            result = self._operator(operation)(arguments)
        except (ValueError, IndexError, MemoryError) as error:
            raise arguments.fail(one_line(error, None)) from error
        arguments.check_all_asked()
        if not _fits(result, operation.output):
            raise arguments.fail(
                f"makes {result.dtype} {result.shape}, the program says {_described(operation.output)}"
            )
        return result

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale: (H, W, 3) uint8 RGB -> (rH, rW, 3) uint8 RGB.

        Raises:
            BackendError: if the image is of a size that the function does not take, or an operation fails.
        """
        height, width = image.shape[:2]
        if not self._function.sizes.allow(height, width):
            sizes = f"takes images of {self._function.sizes} pixels, got {width}x{height}"
            raise BackendError(f"{self._source}: {sizes}; use smaller tiles")
        tensor = np.ascontiguousarray(image.transpose(2, 0, 1))[np.newaxis].astype(np.float32)
        if not _fits(tensor, self._function.input_type):
            raise BackendError(f"{self._source}: takes {_described(self._function.input_type)}, got {tensor.shape}")
        values: dict[str, Array | str] = {**self._constants, self._function.input: tensor}
        for i, operation in enumerate(self._steps):
            values[operation.name] = self._compute(operation, values)
            for argument in operation.inputs.values():
                if isinstance(argument, str) and self._last_use[argument] == i and argument != self._function.output:
                    values.pop(argument, None)
        result = values[self._function.output]
        if isinstance(result, str) or result.dtype != np.float32 or result.ndim != 4 or result.shape[:2] != (1, 3):
            raise BackendError(f"{self._source}: makes no RGB image of float32 levels")
        # An image's levels are the nearest integers in [0, 255]; ours are integers already.
        levels = np.clip(np.rint(result[0]), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(levels.transpose(1, 2, 0))


def _fits(result: Array, declared: TensorType) -> bool:
    if declared.kind is None or result.dtype != declared.kind.dtype or result.ndim != len(declared.shape):
        return False
    return all(wanted in (None, size) for wanted, size in zip(declared.shape, result.shape, strict=True))


def _described(declared: TensorType) -> str:
    kind = declared.kind.name if declared.kind else "text"
    return f"{kind} ({', '.join('any' if size is None else str(size) for size in declared.shape)})"
