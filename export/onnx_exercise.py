"""What an input leaves untried of an ONNX operator: a clamp that it never reaches, a branch that is never taken."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from .kept_tensors import nan_words

__all__ = ["Exercise"]

_Limits = tuple[float, float]


def _of_clip(attributes: Mapping[str, Any], bounds: list[float | None]) -> _Limits:
    low, high = [*bounds, None, None][:2]
    return (
        attributes.get("min", -math.inf) if low is None else low,
        attributes.get("max", math.inf) if high is None else high,
    )


def _of_hard_sigmoid(attributes: Mapping[str, Any], _: list[float | None]) -> _Limits:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return (-beta / alpha, (1 - beta) / alpha) if alpha else (-math.inf, math.inf)


_LIMITS: dict[str, Callable[[Mapping[str, Any], list[float | None]], _Limits]] = {
    **dict.fromkeys(("Relu", "LeakyRelu", "PRelu"), lambda attributes, bounds: (0.0, 0.0)),  # noqa: ARG005
    "HardSwish": lambda attributes, bounds: (-3.0, 3.0),  # noqa: ARG005
    "HardSigmoid": _of_hard_sigmoid,
    "Clip": _of_clip,
}
"""By operator: below the first limit and above the second it does something else. They follow from its attributes, and
from the values of its inputs after the first, where these are known."""
_WATCHED = frozenset((*_LIMITS, "Where"))


class Exercise:
    """What one evaluation of a graph tries of its operators.

    Attributes:
        untried: by output, in words, if anything.
        zero_channels: by output, the channels that are 0 throughout, if any.
    """

    def __init__(self, producers: Mapping[str, NodeProto], constants: Callable[[str], NDArray[Any] | None]) -> None:
        """Take the node of each output, and what returns a constant by its name."""
        self._producers, self._constants = producers, constants
        watched = {node.input[0] for node in producers.values() if node.op_type in _WATCHED}
        self._ranges: dict[str, tuple[float, float] | None] = dict.fromkeys(watched)
        self.untried: dict[str, frozenset[str]] = {}
        self.zero_channels: dict[str, frozenset[int]] = {}

    def add(self, name: str, value: NDArray[Any], channel_axis: int | None = None) -> None:
        """Add an input of the model, or an output, in the order of execution."""
        if name in self._ranges and value.size:
            self._ranges[name] = float(value.min()), float(value.max())
        node = self._producers.get(name)
        if node is None:
            return
        if words := self._untried(node) | nan_words(value):
            self.untried[name] = words
        if channel_axis is not None:
            used = np.any(value, axis=tuple(each for each in range(value.ndim) if each != channel_axis))
            if len(used) > 1 and not used.all():
                self.zero_channels[name] = frozenset(np.flatnonzero(~used).tolist())

    def _untried(self, node: NodeProto) -> frozenset[str]:
        watched = node.op_type in _WATCHED and node.input
        found = self._ranges.get(node.input[0]) if watched else None
        if found is None:
            return frozenset()
        lowest, highest = found
        if node.op_type == "Where":
            sides = {"true": highest, "false": not lowest}
            return frozenset(f"its condition is never {side}" for side, taken in sides.items() if not taken)
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        low, high = _LIMITS[node.op_type](attributes, [self._number(name) for name in node.input[1:]])
        cases = {
            f"its input is never below {low:g}": -math.inf < low <= lowest,
            f"its input is never above {high:g}": highest <= high < math.inf,
        }
        return frozenset(words for words, missing in cases.items() if missing)

    def _number(self, name: str) -> float | None:
        value = self._constants(name) if name else None
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None
