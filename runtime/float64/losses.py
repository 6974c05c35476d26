"""What the values of a graph may lose by rounding, followed from node to node through one walk.

The rule of each operator is in `natural_scale.py`; this is the bookkeeping between them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto

from .calls import Call
from .natural_scale import least_scale, natural_scale, shares_a_kernel
from .steps import CHOOSING, QUANTIZING

__all__ = ["NO_SCALE", "Losses", "Scale", "computing_type"]

Array = NDArray[Any]
_Evaluate = Callable[[Sequence[Array | None]], Sequence[Any]]


@dataclass(frozen=True)
class Scale:
    """The natural scale of an output; its arrays broadcast to the output's shape. What takes long is computed if asked.

    They are multiples of float32's machine epsilon, whatever the type in which the operation computes.
    """

    compute: Callable[[], Array]
    moved: Callable[[Mapping[str, float]], Array]
    bound: Array | None = None

    @cached_property
    def own(self) -> Array:
        """What its own operation may lose in each element, given its inputs."""
        return self.compute()

    @property
    def least(self) -> Array:
        """What `own` is at least: a bound where `own` takes as long as the operation, elsewhere `own` itself."""
        return self.own if self.bound is None else self.bound

    def with_inputs(self, off: Mapping[str, float]) -> Array:
        """Return `own` with what it does to each element that the inputs are off.

        Args:
            off: by output that it is computed from, by how much that is off, in the same unit.
        """
        return np.maximum(self.own, self.moved(off))

    @classmethod
    def of(cls, own: Array) -> "Scale":
        """Return the scale of what is computed from no output."""
        return cls(lambda: own, lambda _: own)


_EPSILON = float(np.finfo(np.float32).eps)
_FINE = np.float32(1)
_COARSE: dict[int, np.float32] = {
    TensorProto.FLOAT16: np.float32(float(np.finfo(np.float16).eps) / _EPSILON),
    TensorProto.BFLOAT16: np.float32(2.0**-7 / _EPSILON),
}
"""Types in which a rounding costs more than in float32, and how many times as much."""
_OF_TABLES = np.float32(4)
"""What a table may have lost, in multiples of epsilon times its largest value: sines of angles up to 2 pi lose that."""
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, *_COARSE})

NO_SCALE = Scale.of(np.zeros(()))
"""Of integers and booleans, which are exact."""


class Losses:
    """What each value of a graph may have lost since the nearest outputs before it."""

    follows_all = False
    """Only what leads to the output of a single operation."""

    def __init__(self, outputs: Collection[str], folded: Mapping[str, float] | None, opset: int) -> None:
        """Start without losses.

        Args:
            outputs: names; what a runtime gave there is known, and counts as exact for most operations.
            folded: see `Float64Graph.walk_with_scales`.
            opset: of ONNX's operators in the file.
        """
        self._outputs, self._folded, self._opset = outputs, folded, opset
        self._types: dict[str, int] = {}
        self._lost: dict[str, Scale] = {}

    def start(self, types: Mapping[str, int]) -> None:
        """Take the ONNX types of the model's inputs."""
        self._types.update(types)

    def add_constant(self, name: str, value: Array, type_: int, user: NodeProto) -> None:
        """Take a weight that a node uses.

        In a file that is compared with the model, a single number may be rounded from Python's, which is float64; and
        a table, as of positions, may have been computed by the exporter in float32.
        """
        self._types[name] = type_
        lost = np.float32(0)
        if value.size == 1 and type_ in _FLOATS and not _is_round(value):
            lost = np.abs(value.astype(np.float32)).max() * _COARSE.get(type_, _FINE)
        elif value.size > 1 and type_ in _FLOATS and shares_a_kernel(user):
            lost = np.abs(value.astype(np.float32)).max() * _OF_TABLES
        if self._folded is not None and lost:
            self._lost[name] = Scale.of(np.asarray(lost))

    def forget(self, name: str) -> None:
        """Forget a value that nothing uses any more."""
        self._lost.pop(name, None)

    def of(
        self,
        node: NodeProto,
        inputs: Sequence[Array | None],
        results: Sequence[Any],
        evaluate: _Evaluate,
        rounded: bool,
        inside: Sequence[float],
    ) -> list[Scale]:
        """Return the scale of each result of a node, and remember it for the nodes that use it.

        Args:
            node: the node.
            inputs: its inputs.
            results: what it returned for them.
            evaluate: returns its results for other inputs.
            rounded: whether the results are rounded to 16 bits already, so that nothing more is lost.
            inside: by result, what it may lose inside of the node's subgraphs.
        """
        # The file's own evaluation rounds nowhere.
        exact = rounded or self._folded is not None
        coarse = _FINE if exact else _COARSE.get(computing_type(node, self._types), _FINE)
        before = [self._lost.get(name) for name in node.input]
        # An output is exact for most operations; any other value isn't known, and has lost what led to it. How far the
        # file's own outputs are off is known: what all constants before may have lost would add up without end.
        in_one = shares_a_kernel(node) and self._folded is None
        passed = [in_one or name not in self._outputs for name in node.input]
        near = [scale.own / coarse if scale and counts else None for scale, counts in zip(before, passed, strict=True)]
        # By how much an output is off is given later. Its scale would keep all tensors before it in memory.
        before = [None if name in self._outputs else scale for name, scale in zip(node.input, before, strict=True)]
        scales = []
        for index, (name, result) in enumerate(zip(filter(None, node.output), results, strict=True)):
            scale = NO_SCALE
            if _loses(node, result, near):
                evaluated = partial(_evaluated, evaluate, index)
                rounds, cost = self._folded is None, float(coarse)
                call = Call(node, inputs, near, np.asarray(result), evaluated, rounds, self._opset, cost)
                # A step stays one, in whatever type it was computed.
                times = coarse if result.dtype.kind == "f" else _FINE
                folded = (self._folded or {}).get(name, 0.0) / _EPSILON
                least = np.float32(folded if exact else inside[index] * coarse)
                scale = self._scale(call, before, times, least)
                self._lost[name] = scale
            scales.append(scale)
        return scales

    def _scale(self, call: Call, before: Sequence[Scale | None], coarse: np.float32, least: np.float32) -> Scale:
        bound = least_scale(call)
        scale = Scale(
            lambda: np.maximum(natural_scale(call) * coarse, least), partial(self._moved, call, before, coarse), bound
        )
        if bound is None:
            _ = scale.own  # now, so that a node without one counts as one that can't be recomputed
        return scale

    def _moved(self, call: Call, before: Sequence[Scale | None], coarse: np.float32, off: Mapping[str, float]) -> Array:
        lost: list[Array | None] = []
        for name, scale in zip(call.node.input, before, strict=True):
            of_input = off.get(name, 0.0) if name in self._outputs else scale and scale.with_inputs(off)
            lost.append(np.asarray(of_input, np.float32) / coarse if of_input is not None else None)
        return natural_scale(replace(call, lost=lost)) * coarse


def computing_type(node: NodeProto, types: dict[str, int]) -> int:
    """Return the ONNX type in which a node computes, its first input's unless it casts, and add it to the types."""
    to = next((each.i for each in node.attribute if each.name == "to" and node.op_type == "Cast"), 0)
    like = node.input[1:2] if node.op_type == "CastLike" else node.input
    type_ = to or next((types[name] for name in like if types.get(name) in _FLOATS), 0)
    types.update((name, type_) for name in node.output if type_)
    return type_


def _loses(node: NodeProto, result: Any, lost: Sequence[Array | None]) -> bool:
    """Return whether a result may lose anything: floats, and integers to which rounding numbers led."""
    if not isinstance(result, np.ndarray):
        return False
    if result.dtype == np.float64:
        return True
    return result.dtype.kind in "iu" and (
        node.op_type in (*QUANTIZING, CHOOSING) or any(each is not None and np.any(each) for each in lost)
    )


def _is_round(value: Array) -> bool:
    """Return whether a number is one that people write down exactly (100, 0.5): its last bits are 0."""
    bits = value.reshape(-1).view(f"uint{8 * value.dtype.itemsize}")[0]
    return not int(bits) & (0b111 if value.dtype.itemsize == 2 else 0xFF)


def _evaluated(evaluate: _Evaluate, index: int, inputs: Sequence[Array | None]) -> Array:
    return np.asarray(evaluate(inputs)[index])
