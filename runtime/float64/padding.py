"""Pad for onnx's evaluator, whose own rejects negative pads, which crop."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["Pad", "PadByAttributes"]

Array = NDArray[Any]

_MODES = ("constant", "reflect", "edge", "wrap")
"""ONNX's padding modes, which have the same names in NumPy."""


class Pad(OpRun):
    """Since opset 11: what is added, or cropped, is an input."""

    def _run(
        self,
        x: Array,
        pads: Array,
        value: Array | None = None,
        axes: Array | None = None,
        mode: str = "constant",
    ) -> tuple[Array]:
        chosen = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
        return (_padded(x, pads.tolist(), chosen, mode, 0 if value is None else value.item()),)


class PadByAttributes(OpRun):
    """Before opset 11."""

    def _run(self, x: Array, mode: str, pads: Sequence[int], value: float) -> tuple[Array]:
        return (_padded(x, list(pads), range(x.ndim), mode, float(value)),)


def _padded(x: Array, pads: Sequence[int], axes: Sequence[int], mode: str, value: Any) -> Array:
    if len(pads) != 2 * len(axes) or mode not in _MODES:
        raise ValueError(f"pads {pads} with mode={mode} don't fit a tensor {x.shape}")
    widths = [(0, 0)] * x.ndim
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        inside = slice(max(0, -before), x.shape[axis] - max(0, -after))
        x = x[(slice(None),) * axis + (inside,)]
        widths[axis] = (max(0, before), max(0, after))
    if mode != "constant":
        return np.pad(x, widths, mode=mode)  # type: ignore[call-overload, no-any-return]
    return np.pad(x, widths, constant_values=value)
