"""What rounding to the bits of a file explains at each of its values, followed from node to node through one walk.

A number that is rounded to steps of s is off by s / sqrt(12) in root mean square (Bennett, 1948). The steps are the
file's own: the scale of what is quantized, the spacing of a float type's numbers. Where the number ahead of rounding is
known, its error is, too; else it gets one of that size at random. What a node makes of it is what it computes with and
without. A product with rounded weights gets what these explain together, |x|^2 times the variance of each weight, as
one error for each element.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto

from .bias_use import BiasUses
from .losses import NO_SCALE, Scale, computing_type
from .number_types import LARGEST, SIXTEEN_BITS, has_spacing, spacing
from .quantization import integer_limits, spread
from .step_use import StepUse, WeightUse

__all__ = ["BitNoise"]

Array = NDArray[Any]
_Evaluate = Callable[[Sequence[Array | None]], Sequence[Any]]

_DEVIATION = 1 / 12**0.5
"""Root mean square of the error of rounding, in steps."""
_PRODUCTS = frozenset({"Conv", "ConvInteger", "ConvTranspose", "Gemm", "MatMul", "MatMulInteger"})
"""Operators that add up products of their first two inputs; the third is a bias in all but the integer ones."""
_WEIGHT_OF = {"ConvInteger": (0, 1), "DequantizeLinear": (0,), "MatMulInteger": (0, 1)}
"""By operator, which of its inputs are numbers in whole steps; others are zero points, sizes and indices."""
_SIZES_FROM = {"Range": 0, "Resize": 1, "Upsample": 1}
"""By operator, from which input on real numbers decide on a size: rounding has left that as it is."""
_OUT = 0.5
"""Steps out of range that rounding explains."""
_FOLDED = 8.0
"""Roundings that a constant of float32 may have gone through, where another tool folded it."""


@dataclass
class BitNoise:
    """The errors that the file's bits explain, and how its quantizers use their steps."""

    right: Mapping[str, Array]
    """By output, the right tensor, which all that uses it is given."""
    real: Mapping[str, str]
    """By tensor of whole steps, the output that is its real numbers."""
    inputs: Collection[str]
    used: list[StepUse] = field(default_factory=list)
    """How each tensor of whole steps uses the range of its type."""
    weights: list[WeightUse] = field(default_factory=list)
    """The weights by which products are computed."""
    biases: BiasUses = field(default_factory=BiasUses)
    """Those whose steps aren't those of their products."""
    overflows: dict[str, float] = field(default_factory=dict)
    """By value of float16, its largest size, where that is no number of float16."""
    clipped: set[str] = field(default_factory=set)
    """Values on whose way from the nearest right ones something is out of range."""
    follows_all = True

    def __post_init__(self) -> None:
        self._noise: dict[str, Array] = {}
        self._constants: set[str] = set()
        self._weight_uses: dict[str, WeightUse] = {}
        self._types: dict[str, int] = {}
        self._generator = np.random.default_rng(0)

    def start(self, types: Mapping[str, int]) -> None:
        """Take the ONNX types of the model's inputs."""
        self._types.update(types)

    def add_constant(self, name: str, value: Array, type_: int, user: NodeProto) -> None:
        """Take a weight that a node uses: it was rounded to its type, or to whole steps."""
        self._types[name] = type_
        self._constants.add(name)
        places = _WEIGHT_OF.get(user.op_type, ())
        dtype = value.dtype.name
        if value.ndim > 1 and value.dtype.kind == "f":
            self._weight_uses[name] = WeightUse(dtype)
        if has_spacing(dtype):
            self._noise[name] = self._signed(
                spacing(value, dtype) * _DEVIATION * (_FOLDED if dtype == "float32" else 1)
            )
        elif any(user.input[place] == name for place in places if place < len(user.input)):
            self._noise[name] = self._signed(np.full(value.shape, _DEVIATION))

    def forget(self, name: str) -> None:
        """Forget a value that nothing uses any more."""
        self._noise.pop(name, None)

    def of(
        self,
        node: NodeProto,
        inputs: Sequence[Array | None],
        results: Sequence[Any],
        evaluate: _Evaluate,
        rounded: bool,
        inside: Sequence[float],  # noqa: ARG002 - of float32's rounding, which is nothing here
    ) -> list[Scale]:
        """Return the error of each result of a node as its `own`, and remember it for the nodes that use it.

        Args:
            node: the node.
            inputs: its inputs.
            results: what it returned for them.
            evaluate: returns its results for other inputs.
            rounded: whether the results are rounded to 16 bits.
            inside: not used.
        """
        type_ = computing_type(node, self._types)
        given = [self._of_input(name, value) for name, value in zip(node.input, inputs, strict=True)]
        sizes_from = _SIZES_FROM.get(node.op_type, len(given))
        given[sizes_from:] = [None] * len(given[sizes_from:])
        if all(name in self._constants for name in node.input if name):
            self._constants.update(node.output)
        self._note_weights(node, inputs)
        self.biases.note(node, inputs, self._constants)
        if any(name in self.clipped and name not in self.right for name in node.input):
            self.clipped.update(node.output)
        rule = _RULES.get(node.op_type)
        errors = (
            rule(self, node, inputs, given, results, evaluate) if rule else _moved(inputs, given, results, evaluate)
        )
        scales = []
        for name, result, error in zip(filter(None, node.output), results, errors, strict=True):
            if not isinstance(result, np.ndarray):
                scales.append(NO_SCALE)
                continue
            self._note_overflow(name, result, type_)
            own = self._signed(spacing(result, SIXTEEN_BITS[type_]) * _DEVIATION) if rounded else None
            total = own if error is None else error if own is None else error + own
            if total is not None:
                self._noise[name] = total
            scales.append(NO_SCALE if total is None else Scale.of(total))
        return scales

    def _of_input(self, name: str, value: Array | None) -> Array | None:
        if name in self.right:
            return None
        type_ = self._types.get(name, 0)
        if name in self.inputs and value is not None and type_ in SIXTEEN_BITS:
            return self._signed(spacing(value, SIXTEEN_BITS[type_]) * _DEVIATION)
        return self._noise.get(name)

    def _note_overflow(self, name: str, result: Array, type_: int) -> None:
        if type_ != TensorProto.FLOAT16 or result.dtype.kind != "f" or not result.size:
            return
        largest = float(np.max(np.abs(result)))
        if not largest <= LARGEST["float16"]:
            self.overflows[name] = largest

    def _note_weights(self, node: NodeProto, inputs: Sequence[Array | None]) -> None:
        """Note what kind of number the weights of a product are, from where they are stored on."""
        if node.op_type in _PRODUCTS:
            known = [self._weight_uses[name] for name in node.input[:2] if name in self._weight_uses]
            first = known[0] if known else None
            if node.op_type.endswith("Integer") and len(node.input) > 3:
                first = WeightUse.of(np.asarray(inputs[1]), inputs[3], inputs[3])
            if first is not None:
                self.weights.append(replace(first, operator=node.op_type.removesuffix("Integer")))
            return
        name = node.input[0] if node.input else ""
        if node.op_type == "DequantizeNBits":
            bits = next((each.i for each in node.attribute if each.name == "bits"), 4)
            use: WeightUse | None = WeightUse(f"int{bits} with a scale per block")
        elif node.op_type == "DequantizeLinear" and name in self._constants:
            use = WeightUse.of(np.asarray(inputs[0]), *inputs[1:3])
        else:
            use = self._weight_uses.get(name)
        if use is not None:
            self._weight_uses.update(dict.fromkeys(node.output, use))

    def _signed(self, size: Array) -> Array:
        return np.where(self._generator.random(size.shape) < 0.5, -size, size)

    def _product(
        self,
        node: NodeProto,
        inputs: Sequence[Array | None],
        given: Sequence[Array | None],
        results: Sequence[Any],
        evaluate: _Evaluate,
    ) -> list[Array | None]:
        """Return the error of a sum of products: rounded weights explain one for each element of the result."""
        is_weight = [
            name in self._constants and error is not None for name, error in zip(node.input, given, strict=True)
        ]
        # Of two constants, as of a table that a convolution projects, the second are the weights.
        is_weight[0] = is_weight[0] and not is_weight[1]
        passed = [None if weight else error for weight, error in zip(is_weight, given, strict=True)]
        (moved,) = _moved(inputs, passed, results, evaluate)
        if not any(is_weight):
            return [moved]
        zeros = inputs[2:] if node.op_type.endswith("Integer") else ()
        powers: list[Array | None] = []
        for place, (value, error) in enumerate(zip(inputs, given, strict=True)):
            if value is None:
                powers.append(None)
            elif is_weight[place] and error is not None:
                powers.append(np.square(error))
            elif place > 1 or not any(is_weight[:2]):
                powers.append(np.zeros(value.shape))
            else:
                powers.append(np.square(_less(value, zeros[place] if place < len(zeros) else None)))
        power = np.maximum(np.asarray(evaluate(powers)[0], np.float64), 0.0)
        own = np.sqrt(power) * self._generator.standard_normal(power.shape)
        return [own if moved is None else moved + own]

    def _quantized(
        self,
        node: NodeProto,
        inputs: Sequence[Array | None],
        given: Sequence[Array | None],
        results: Sequence[Any],
        evaluate: _Evaluate,  # noqa: ARG002
    ) -> list[Array | None]:
        """Return the error of QuantizeLinear in whole steps: of rounding, not of what is out of range."""
        x, scale, before = np.asarray(inputs[0]), np.asarray(inputs[1]), given[0]
        zero = inputs[2] if len(inputs) > 2 else None
        axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
        block = next((each.i for each in node.attribute if each.name == "block_size"), 0)
        step = spread(scale, x.shape, axis, block)
        real = self.real.get(node.output[0], "")
        truth = self.right.get(real)
        if truth is None or truth.shape != x.shape:
            truth = x
        of_zero: Any = 0.0 if zero is None else spread(np.asarray(zero), x.shape, axis, block).astype(np.float64)
        dtype = results[0].dtype
        steps, limits = truth / step, integer_limits(dtype)
        if limits is None:
            low, high = -LARGEST[dtype.name], LARGEST[dtype.name]
            half: Any = spacing(steps, dtype.name) / 2
        else:
            low, high = limits[0] - of_zero, limits[1] - of_zero
            half = 0.5
            self.used.append(StepUse.of(node.input[0], real, truth, step, low, high))
        inside = (steps >= low - _OUT) & (steps <= high + _OUT)
        # A range that starts at 0 is that of a ReLU, which it replaces.
        if not np.all(inside | ((steps < 0) & (low >= 0))):
            self.clipped.update(node.output)
        # What rounding does is known, and no error at random: where values are alike, their mean is as far off.
        rounding = np.clip(np.asarray(results[0], np.float64) - of_zero - x / step, -half, half)
        own = np.where(inside & (truth != 0), rounding, 0.0)
        return [own if before is None else np.where(inside, before / step, 0.0) + own]

    def _dynamically_quantized(
        self,
        node: NodeProto,  # noqa: ARG002
        inputs: Sequence[Array | None],
        given: Sequence[Array | None],
        results: Sequence[Any],
        evaluate: _Evaluate,  # noqa: ARG002
    ) -> list[Array | None]:
        x, step, before = np.asarray(inputs[0]), float(results[1]), given[0]
        own = np.where(x == 0, 0.0, np.asarray(results[0], np.float64) - float(results[2]) - x / step)
        return [own if before is None else before / step + own, None, None]

    def _unpacked(
        self,
        node: NodeProto,
        inputs: Sequence[Array | None],
        given: Sequence[Array | None],  # noqa: ARG002
        results: Sequence[Any],
        evaluate: _Evaluate,  # noqa: ARG002
    ) -> list[Array | None]:
        of = {each.name: each.i for each in node.attribute}
        scales = np.asarray(inputs[1]).reshape(of["N"], -1)
        steps = np.repeat(scales, of.get("block_size", 32), axis=1)[:, : of["K"]].T
        return [self._signed(np.abs(steps).reshape(results[0].shape) * _DEVIATION)]


_RULES: dict[str, Callable[..., list[Array | None]]] = {
    **dict.fromkeys(_PRODUCTS, BitNoise._product),
    "DequantizeNBits": BitNoise._unpacked,
    "DynamicQuantizeLinear": BitNoise._dynamically_quantized,
    "QuantizeLinear": BitNoise._quantized,
}


def _moved(
    inputs: Sequence[Array | None], given: Sequence[Array | None], results: Sequence[Any], evaluate: _Evaluate
) -> list[Array | None]:
    """Return the errors that a node's results have for those of its inputs, which have them already."""
    if all(error is None for error in given):
        return [None] * len(results)
    moved = [
        # A shape that was computed by way of real numbers stays one of integers.
        value if value is None or error is None or not np.any(error) else value.astype(np.float64) - error
        for value, error in zip(inputs, given, strict=True)
    ]
    return [
        result.astype(np.float64) - np.asarray(other, np.float64)
        if isinstance(result, np.ndarray) and result.dtype.kind in "fiu" and np.shape(other) == result.shape
        else None
        for other, result in zip(evaluate(moved), results, strict=True)
    ]


def _less(value: Array, zero: Array | None) -> Array:
    return value if zero is None or zero.size != 1 else value.astype(np.float64) - float(zero.reshape(()))
