"""What a result in whole steps may lose: one step where float32 can't tell on which side of a tie a number lies.

Quantizing rounds to a neighbouring integer. A runtime that computes in float32 may take the other neighbour where the
quotient is within a few roundings of the middle between two, and nowhere else; in 16 bits, within one of their
roundings. The rules of other operators are in `natural_scale.py`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calls import Call

__all__ = ["CHOOSING", "QUANTIZING", "scale_in_steps"]

Array = NDArray[Any]

_EPSILON = float(np.finfo(np.float32).eps)
_ALLOWED, _ALLOWED_IN_FILE = 12.0, 3.0
"""A step's part that counts as one rounding: a verdict allows 16 roundings of a runtime and 4 of a file, so that one
step passes and two don't."""

QUANTIZING = {"QuantizeLinear": 1, "QLinearConv": 6, "QLinearMatMul": 6, "DynamicQuantizeLinear": None}
"""Operators that round to whole steps, and which input is the size of a step."""
CHOOSING = "TopK"
"""The operator whose result is places: `topk` and `sort` in PyTorch."""


def scale_in_steps(call: Call) -> Array:
    """Return what each element of a result of integers may lose, in multiples of epsilon; 0 where it is exact."""
    turned = np.zeros(call.output.shape)
    for moved in _moved(call):
        difference = np.asarray(call.evaluate(moved)).astype(np.float64) - call.output.astype(np.float64)
        np.maximum(turned, np.abs(difference), out=turned)
    if call.node.op_type == CHOOSING and call.output.dtype == np.int64:
        turned = np.maximum(turned, _ties(call))
    if call.node.op_type == "DynamicQuantizeLinear":
        turned = np.maximum(turned, _dynamically_near(call, np.asarray(call.inputs[0])))
    return turned / (_EPSILON * (_ALLOWED if call.rounds else _ALLOWED_IN_FILE))


def _moved(call: Call) -> Iterator[list[Array | None]]:
    """Yield inputs that a runtime can't tell from those given: another size of a step, and what was lost before."""
    place = QUANTIZING.get(call.node.op_type)
    if place is not None:
        for factor in (1 - _near(call), 1 + _near(call)):
            yield [*call.inputs[:place], np.asarray(call.inputs[place]) * factor, *call.inputs[place + 1 :]]
    signs = np.random.default_rng(0)
    for place, (value, lost) in enumerate(zip(call.inputs, call.lost, strict=True)):
        if value is None or lost is None or not np.any(lost):
            continue
        for sign in (-1.0, 1.0, signs.choice((-1.0, 1.0), value.shape)):
            if value.dtype.kind == "f":
                other = value + sign * _EPSILON * lost
            elif value.dtype.kind in "iu" and value.dtype.itemsize <= 2:  # larger ones are sizes and indices
                limits = np.iinfo(value.dtype)
                other = np.clip(value + sign * np.sign(lost), limits.min, limits.max).astype(value.dtype)
            else:
                break
            yield [*call.inputs[:place], other, *call.inputs[place + 1 :]]


def _near(call: Call) -> float:
    """Return how near to a tie, of the quotient's size: scales are multiplied and divided, or a reciprocal is taken."""
    return (3 + call.coarse) * _EPSILON


def _ties(call: Call) -> Array:
    """Return how far each index of a TopK is from the farthest one of an equal value: which of them comes first is open
    in PyTorch, whose `topk` and `sort` become this operator.
    """
    axis = call.attribute("axis", -1)
    values = np.moveaxis(np.asarray(call.inputs[0]), axis, -1)
    indices = np.moveaxis(call.output, axis, -1)
    if indices.shape != (*values.shape[:-1], indices.shape[-1]) or np.any(
        (indices < 0) | (indices >= values.shape[-1])
    ):
        return np.zeros(call.output.shape)  # it is the values' own output, of integers
    order = np.argsort(values, axis=-1, kind="stable")
    ascending = np.take_along_axis(values, order, axis=-1)
    starts = np.ones(values.shape, bool)
    starts[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    ends = np.roll(starts, -1, axis=-1)
    ends[..., -1:] = True
    places, last = np.arange(values.shape[-1]), values.shape[-1] - 1
    first_of = np.maximum.accumulate(np.where(starts, places, 0), axis=-1)
    last_of = np.minimum.accumulate(np.where(ends, places, last)[..., ::-1], axis=-1)[..., ::-1]
    # Of equal values a stable order has the lowest index first.
    lowest, highest = np.empty_like(order), np.empty_like(order)
    np.put_along_axis(lowest, order, np.take_along_axis(order, first_of, axis=-1), axis=-1)
    np.put_along_axis(highest, order, np.take_along_axis(order, last_of, axis=-1), axis=-1)
    down = indices - np.take_along_axis(lowest, indices, axis=-1)
    up = np.take_along_axis(highest, indices, axis=-1) - indices
    return np.moveaxis(np.maximum(down, up), -1, axis).astype(np.float64)


def _dynamically_near(call: Call, x: Array) -> Array:
    """Return 1 where DynamicQuantizeLinear, whose steps grow with x, may round to the other side."""
    low, high = min(0.0, float(np.min(x, initial=0.0))), max(0.0, float(np.max(x, initial=0.0)))
    step = (high - low) / 255 or 1.0

    def is_tie(steps: Array) -> Array:
        return np.asarray(np.abs(np.abs(steps - np.floor(steps)) - 0.5) <= _near(call) * np.abs(steps))

    if np.any(is_tie(np.asarray(low / step))):  # of the zero point, which moves all
        return np.ones(call.output.shape)
    return is_tie(x / step).astype(np.float64) if call.output.shape == x.shape else np.zeros(call.output.shape)
