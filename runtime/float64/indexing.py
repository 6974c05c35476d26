"""GatherElements, GatherND, ScatterElements and ScatterND for onnx's evaluator, whose own go element by element.

(Its GatherElements also takes at most 32 elements along the axis, and its OneHot no depth of one axis.)
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = ["GatherElements", "GatherND", "OneHot", "ScatterElements", "ScatterND"]

Array = NDArray[Any]

_REDUCTIONS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


class GatherElements(OpRun):
    """out[i, j] = data[indices[i, j], j] for axis 0."""

    def _run(self, data: Array, indices: Array, axis: int = 0) -> tuple[Array]:
        return (data[_along(data, indices, axis)],)


class ScatterElements(OpRun):
    """out[indices[i, j], j] = updates[i, j] for axis 0."""

    def _run(
        self, data: Array, indices: Array, updates: Array, axis: int = 0, reduction: str | None = "none"
    ) -> tuple[Array]:
        return (_scattered(data, _along(data, indices, axis), updates, reduction),)


class GatherND(OpRun):
    """The last axis of `indices` holds positions in `data`, after the axes that both share."""

    def _run(self, data: Array, indices: Array, batch_dims: int = 0) -> tuple[Array]:
        shared, depth = data.shape[:batch_dims], indices.shape[-1]
        if indices.shape[:batch_dims] != shared or batch_dims + depth > data.ndim:
            raise ValueError(f"indices {indices.shape} don't fit a tensor {data.shape} with batch_dims={batch_dims}")
        batches = math.prod(shared)
        flat = indices.reshape(batches, -1, depth)
        which = (np.arange(batches)[:, None], *np.moveaxis(flat, -1, 0))
        found = data.reshape(batches, *data.shape[batch_dims:])[which]
        return (found.reshape(*indices.shape[:-1], *data.shape[batch_dims + depth :]),)


class ScatterND(OpRun):
    """out[indices[i]] = updates[i]."""

    def _run(self, data: Array, indices: Array, updates: Array, reduction: str | None = "none") -> tuple[Array]:
        return (_scattered(data, tuple(np.moveaxis(indices, -1, 0)), updates, reduction),)


class OneHot(OpRun):
    """One value at the index, another elsewhere, along a new axis; an index outside of it is nowhere."""

    def _run(self, indices: Array, depth: Array, values: Array, axis: int = -1) -> tuple[Array]:
        size = int(depth.item())
        at = np.expand_dims(np.where((indices >= -size) & (indices < 0), indices + size, indices), axis)
        places = np.arange(size).reshape(-1, *(1,) * (-1 - axis if axis < 0 else indices.ndim - axis))
        return (np.where(at == places, values[1], values[0]),)


def _along(data: Array, indices: Array, axis: int) -> tuple[Array, ...]:
    """Return the indices for each axis of `data`: those given along `axis`, and their own positions for the others."""
    if data.ndim != indices.ndim:
        raise ValueError(f"indices {indices.shape} don't fit a tensor {data.shape}")
    where = list(np.ogrid[tuple(map(slice, indices.shape))])
    where[axis] = indices
    return tuple(where)


def _scattered(data: Array, where: tuple[Array, ...], updates: Array, reduction: str | None) -> Array:
    out = data.copy()
    if reduction in (None, "none"):
        out[where] = updates
    elif reduction in _REDUCTIONS:
        _REDUCTIONS[reduction].at(out, where, updates)
    else:
        raise ValueError(f"reduction={reduction} is not known")
    return out
