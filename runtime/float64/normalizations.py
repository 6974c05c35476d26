"""Normalizations for onnx's evaluator, whose own are wrong in old opsets, underflow or make five arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

__all__ = [
    "LRN",
    "BatchNormalization",
    "Dropout",
    "DropoutWithNumbers",
    "FlatHardmax",
    "FlatLogSoftmax",
    "FlatSoftmax",
    "GroupNormalization",
    "Hardmax",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Softmax",
]

Array = NDArray[Any]


class BatchNormalization(OpRun):
    """By the given statistics, or in training by the batch's own, whose variance is that of the population."""

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        mean: Array,
        var: Array,
        epsilon: float,
        momentum: float,
        spatial: int = 1,
        training_mode: int = 0,
    ) -> tuple[Array, ...]:
        if len(self.output) > 1 and not training_mode:
            raise NotImplementedError("before opset 14, or without training_mode=1, statistics are no results")
        if not training_mode:
            return (_normalised(x, scale, bias, mean, var, epsilon, spatial),)
        others = (0, *range(2, x.ndim))
        batch_mean, batch_var = x.mean(others), x.var(others)
        kept = float(momentum)
        y = _normalised(x, scale, bias, batch_mean, batch_var, epsilon, spatial)
        running = (mean * kept + batch_mean * (1 - kept), var * kept + batch_var * (1 - kept))
        return (y, *running)[: len(self.output)]


class GroupNormalization(OpRun):
    """onnx's own computes in float32 where the node doesn't say otherwise.

    Before opset 21 each group has its scale and bias, from then on each channel.
    """

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        epsilon: float,
        num_groups: int,
        stash_type: int = 1,  # noqa: ARG002 - the type that a runtime computes in
    ) -> tuple[Array]:
        groups = x.reshape(x.shape[0], num_groups, -1)
        y = groups - groups.mean(-1, keepdims=True)
        y /= np.sqrt(groups.var(-1, keepdims=True) + float(epsilon))
        y = y.reshape(x.shape)
        shape = (-1, *(1,) * (x.ndim - 2))
        gain, shift = (np.repeat(each, x.shape[1] // each.size).reshape(shape) for each in (scale, bias))
        y *= gain
        y += shift
        return (y,)


def _normalised(x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float, spatial: int) -> Array:
    # With spatial=0, which opset 9 dropped, each pixel has its own statistics.
    shape = (-1, *(1,) * (x.ndim - 2)) if spatial else x.shape[1:]
    y = x - mean.reshape(shape)
    y *= (scale / np.sqrt(var + float(epsilon))).reshape(shape)
    y += bias.reshape(shape)
    return y


class Dropout(OpRun):
    """Passes its input on; what it drops in training is another each time."""

    mask: type = bool

    def _run(
        self,
        x: Array,
        ratio: float | Array = 0.5,
        training_mode: Array | None = None,
        seed: int | None = None,  # noqa: ARG002 - each runtime makes its own of it
    ) -> tuple[Array, ...]:
        if training_mode is not None and training_mode and ratio != 0:
            raise NotImplementedError("in training it draws new random numbers each time")
        return (x, np.ones(x.shape, self.mask))[: len(self.output)]


class DropoutWithNumbers(Dropout):
    """Before opset 10, the mask is of the input's type."""

    mask = float


class LRN(OpRun):
    """onnx 1.23 mistakes the batch size for the number of channels."""

    def _run(self, x: Array, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int = 1) -> tuple[Array]:
        channels, before = x.shape[1], (size - 1) // 2
        padded = np.zeros((len(x), channels + size - 1, *x.shape[2:]), x.dtype)
        np.square(x, out=padded[:, before : before + channels])
        total = padded[:, :channels].copy()
        for begin in range(1, size):
            total += padded[:, begin : begin + channels]
        return (x / (float(bias) + float(alpha) / size * total) ** float(beta),)


class MeanVarianceNormalization(OpRun):
    """A function of other operators in ONNX, whose constants are float32."""

    def _run(self, x: Array, axes: Sequence[int]) -> tuple[Array]:
        y = x - x.mean(tuple(axes), keepdims=True)
        deviation = np.sqrt(np.mean(y * y, axis=tuple(axes), keepdims=True))
        return (y / (deviation + 1e-9),)


class LpNormalization(OpRun):
    """onnx's own adds up negative elements with their sign for p=1."""

    def _run(self, x: Array, axis: int, p: int) -> tuple[Array]:
        norm = np.linalg.norm(x, ord=p, axis=axis, keepdims=True)
        return (np.divide(x, norm, out=np.zeros_like(x), where=norm != 0),)


class Softmax(OpRun):
    """Along one axis: since opset 13."""

    def _run(self, x: Array, axis: int) -> tuple[Array]:
        return (_softmax(x, axis),)


class LogSoftmax(OpRun):
    """onnx's own takes the logarithm of a softmax that underflowed to 0."""

    def _run(self, x: Array, axis: int) -> tuple[Array]:
        return (_log_softmax(x, axis),)


class Hardmax(OpRun):
    """1 at the first largest element along an axis, 0 elsewhere."""

    def _run(self, x: Array, axis: int) -> tuple[Array]:
        return (_hardmax(x, axis),)


class FlatSoftmax(OpRun):
    """Before opset 13, over all axes from one on; onnx's own takes that one alone."""

    def _run(self, x: Array, axis: int) -> tuple[Array]:
        return (_softmax(_flattened(x, axis), -1).reshape(x.shape),)


class FlatLogSoftmax(OpRun):
    """As `FlatSoftmax`."""

    def _run(self, x: Array, axis: int) -> tuple[Array]:
        return (_log_softmax(_flattened(x, axis), -1).reshape(x.shape),)


class FlatHardmax(OpRun):
    """As `FlatSoftmax`."""

    def _run(self, x: Array, axis: int) -> tuple[Array]:
        return (_hardmax(_flattened(x, axis), -1).reshape(x.shape),)


def _flattened(x: Array, axis: int) -> Array:
    return x.reshape(*x.shape[: axis % x.ndim], -1)


def _softmax(x: Array, axis: int) -> Array:
    y: Array = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    y /= np.sum(y, axis=axis, keepdims=True)
    return y


def _log_softmax(x: Array, axis: int) -> Array:
    y: Array = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    y -= np.log(np.sum(np.exp(y), axis=axis, keepdims=True))
    return y


def _hardmax(x: Array, axis: int) -> Array:
    y = np.zeros_like(x)
    if x.size:
        np.put_along_axis(y, np.expand_dims(np.argmax(x, axis=axis), axis), 1, axis=axis)
    return y
