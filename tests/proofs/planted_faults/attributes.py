"""A wrong attribute of each operator that has one which can be wrong and still fit."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from onnx import NodeProto

from .model import Model, Place, Places, attribute_of, set_attribute

__all__ = ["axes_of_a_mean", "changed", "dilated", "flipped", "one_of", "other_axis", "strided", "times", "transposed"]

_Other = Callable[[Model, NodeProto, Any], Iterable[Any]]


def changed(operators: str, name: str, default: Any, other: _Other) -> Places:
    """Return the places where an attribute of some operators is made another: each of what `other` returns."""

    def places(model: Model, rng: np.random.Generator) -> Iterator[Place]:
        for node in model.nodes(*operators.split()):
            value = attribute_of(node, name, default)
            for new in other(model, node, value):
                yield Place(node, f"{name} {_said(value)} made {_said(new)}", partial(set_attribute, node, name, new))

    return places


def _said(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else f"{value:.6g}" if isinstance(value, float) else str(value)


def times(factor: float) -> _Other:
    return lambda model, node, value: [value * factor]


def flipped(model: Model, node: NodeProto, value: int) -> Iterable[int]:
    return [1 - value]


def one_of(*others: str) -> _Other:
    """Return the other values of an attribute that is a word."""
    return lambda model, node, value: [other for other in others if other.encode() != value]


def transposed(model: Model, node: NodeProto, value: int) -> Iterable[int]:
    """A Gemm's transB, where its weight is square."""
    shape = model.array(node.input[1]).shape if node.input[1] in model.weights else (0, 1)
    return [1 - value] if shape[0] == shape[1] else []


def other_axis(model: Model, node: NodeProto, value: int) -> Iterable[int]:
    """Every other axis but that of the batch."""
    rank = len(model.shapes[node.input[0]])
    return [axis for axis in range(1, rank) if axis != value % rank]


def strided(model: Model, node: NodeProto, value: list[int]) -> Iterable[list[int]]:
    """A larger stride of as many windows, if there are several: 3 instead of 2 where the input has 3 more than one."""
    sizes, kernel = model.shapes[node.input[0]][2:], attribute_of(node, "kernel_shape")
    pads, other = attribute_of(node, "pads", [0, 0, 0, 0]), [stride + 1 for stride in value]
    if len(sizes) != 2 or any(isinstance(size, str) for size in sizes):
        return
    spans = [sizes[i] + pads[i] + pads[i + 2] - kernel[i] for i in range(2)]
    if all(span // stride == span // new > 0 for span, stride, new in zip(spans, value, other, strict=True)):
        yield other


def dilated(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """Windows one further apart, and as many more zeros around: the shape stays."""
    for node in model.nodes("Conv", "MaxPool"):
        kernel, pads = attribute_of(node, "kernel_shape"), attribute_of(node, "pads", [0, 0, 0, 0])
        dilations = attribute_of(node, "dilations", [1, 1])
        if list(kernel) != [3, 3] or min(pads) < 1:
            continue

        def change(node: NodeProto = node, dilations: list[int] = dilations, pads: list[int] = pads) -> None:
            set_attribute(node, "dilations", [each + 1 for each in dilations])
            set_attribute(node, "pads", [each + 1 for each in pads])

        yield Place(node, f"dilations {list(dilations)} larger by 1, and so are the pads", change)


def axes_of_a_mean(model: Model, rng: np.random.Generator) -> Iterator[Place]:
    """A mean, sum or maximum over the axis beside the right one."""
    for node in model.nodes("ReduceMean", "ReduceSum", "ReduceMax"):
        axes = model.array(node.input[1]) if node.input[1:] and node.input[1] in model.weights else []
        rank = len(model.shapes[node.input[0]])
        if len(axes) != 1 or rank < 3:
            continue
        other = axes[0] % rank - 1 if axes[0] % rank > 1 else axes[0] % rank + 1

        def change(node: NodeProto = node, other: int = other) -> None:
            node.input[1] = model.add(f"{node.output[0]} axes", np.array([other], np.int64))

        yield Place(node, f"the axis {axes[0]} made {other}", change)
