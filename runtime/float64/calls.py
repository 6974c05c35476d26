"""One evaluation of a node in float64, as the rules in `natural_scale.py` and `steps.py` take it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, helper

__all__ = ["Call", "absolute"]

Array = NDArray[Any]
Arrays = Sequence[Array | None]
_IN_FLOAT64 = np.float32(2.0**-20)
"""Float64 itself, and what is computed in it, loses less than this part of what float32 does."""
_FROM_STEPS = frozenset({"Cast", "DequantizeLinear"})
"""Which turn whole steps into numbers."""


@dataclass(frozen=True)
class Call:
    """One evaluation of a node in float64.

    Attributes:
        node: the node.
        inputs: its inputs; None for one that is omitted.
        lost: by input, what its elements may already have lost, in multiples of epsilon, broadcastable, float32; None
            for what is exact.
        output: one of its outputs, of floats or of whole steps.
        evaluate: returns that output for other inputs of the same shapes.
        rounds: whether the operation itself rounds; if not, its constants were rounded once, one by one.
        opset: of ONNX's operators in the file.
        coarse: how many times as much as in float32 a rounding costs in the type in which it computes.
    """

    node: NodeProto
    inputs: Arrays
    lost: Arrays
    output: Array
    evaluate: Callable[[Arrays], Array]
    rounds: bool = True
    opset: int = 20
    coarse: float = 1.0

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute's value."""
        return next((helper.get_attribute_value(each) for each in self.node.attribute if each.name == name), default)

    def size_of(self, place: int) -> Array:
        """Return an input's absolute values in float32, which is exact enough: 0 for one that is omitted."""
        value = self.inputs[place] if place < len(self.inputs) else None
        return np.zeros((), np.float32) if value is None else absolute(value)

    def losses(self) -> Iterator[tuple[int, Array, Array]]:
        """Yield each input that isn't exact: its place, its value and what it lost."""
        for place, (value, lost) in enumerate(zip(self.inputs, self.lost, strict=True)):
            # Other operators take integers as sizes and indices.
            if value is not None and lost is not None and (value.dtype.kind == "f" or self.node.op_type in _FROM_STEPS):
                yield place, value, lost

    def own(self, scale: Array) -> Array:
        """Return what the operation itself may lose: nearly nothing if neither it nor an attribute of it is rounded."""
        has_number = any(each.type in (AttributeProto.FLOAT, AttributeProto.FLOATS) for each in self.node.attribute)
        return scale if self.rounds or has_number else scale * _IN_FLOAT64

    def change(self, inputs: Arrays) -> Array:
        """Return how far the output moves with other inputs; 0 where they make another shape, as of a Range."""
        moved = np.asarray(self.evaluate(inputs))
        return np.abs(moved - self.output) if moved.shape == self.output.shape else np.zeros(())


def absolute(value: Array) -> Array:
    """Return absolute values in float32, which is exact enough."""
    with np.errstate(over="ignore"):
        narrow = value.astype(np.float32)
    return np.abs(narrow, out=narrow)
