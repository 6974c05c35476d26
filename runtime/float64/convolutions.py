"""Conv and ConvTranspose for onnx's evaluator: as matrix products, in blocks that bound the memory.

onnx's own convolution gathers every window of the batch at once: seconds and gigabytes for one layer of a ResNet.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

from .windows import Windows

__all__ = ["CausalConvWithState", "Conv", "ConvTranspose", "convolved"]

Array = NDArray[Any]

_GATHERED = 1 << 19
"""Window elements that are copied together for one product: 4 MB, which stay in the processor's cache."""
_DEPTHWISE = 1 << 15
"""Output elements that all taps are added to before the next ones: 256 KB."""


class Conv(OpRun):
    """N C *spatial, with weights O C/group *kernel."""

    def _run(self, x: Array, w: Array, b: Array | None = None, **attributes: Any) -> tuple[Array]:
        return (convolved(x, w, b, **attributes),)


class CausalConvWithState(OpRun):
    """N C T, each channel alone, after the last elements of what came before; onnx's own computes SiLU in float32."""

    def _run(
        self,
        x: Array,
        w: Array,
        bias: Array | None = None,
        past: Array | None = None,
        activation: str | None = None,
    ) -> tuple[Array, Array]:
        if activation not in (None, "none", "silu", "swish"):
            raise ValueError(f"activation={activation} is not known")
        before = w.shape[2] - 1
        past = np.zeros((*x.shape[:2], before)) if past is None else past
        whole = np.concatenate([past, x], axis=2)
        y = convolved(whole, w, bias, group=x.shape[1])
        if activation in ("silu", "swish"):
            y /= 1 + np.exp(-y)
        return y, whole[:, :, whole.shape[2] - before :]


def convolved(
    x: Array,
    w: Array,
    b: Array | None,
    auto_pad: str | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Array:
    """Return a convolution, by the attributes of an ONNX node."""
    _check(x, w, w.shape[1] * group, group, kernel_shape)
    windows = Windows.of(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad)
    out = np.empty((len(x), len(w), *windows.out), np.result_type(x, w))
    padded = windows.padded(x, 0)
    convolve = _convolve_by_channel if w.shape[1] == 1 else _convolve
    for image, result in zip(padded, out, strict=True):
        convolve(image, w, group, windows, result)
    if b is not None:
        out += b.reshape(-1, *(1,) * (x.ndim - 2))
    return out


def _check(x: Array, w: Array, channels: int, group: int, kernel_shape: Sequence[int] | None) -> None:
    if x.ndim != w.ndim or x.shape[1] != channels or len(w) % group:
        raise ValueError(f"weights {w.shape} in {group} groups don't fit a tensor {x.shape}")
    if tuple(kernel_shape or w.shape[2:]) != w.shape[2:]:
        raise ValueError(f"kernel_shape {kernel_shape} is not that of the weights {w.shape}")


def _convolve(image: Array, w: Array, group: int, windows: Windows, out: Array) -> None:
    """Convolve C *spatial to `out`, O *spatial: weights times the elements under a block of windows."""
    weights = w.reshape(group, len(w) // group, -1)
    depth = weights.shape[2]
    result = out.reshape(group, weights.shape[1], -1)
    if math.prod(windows.kernel) == 1 and windows.out == image.shape[1:]:
        np.matmul(weights, image.reshape(group, depth, -1), out=result)
        return
    # Windows are taken by whole rows of the first spatial axis.
    gathered = windows.view(image)
    axis = 1 + len(windows.kernel)
    row = math.prod(windows.out[1:])
    rows = max(1, min(windows.out[0], _GATHERED // (group * depth * row)))
    for begin in range(0, windows.out[0], rows):
        some = gathered[(slice(None),) * axis + (slice(begin, begin + rows),)]
        block = np.ascontiguousarray(some).reshape(group, depth, -1)
        result[:, :, begin * row : (begin + rows) * row] = weights @ block


def _convolve_by_channel(image: Array, w: Array, group: int, windows: Windows, out: Array) -> None:
    """Convolve each channel separately (depthwise): a matrix product would have a single row."""
    axes = len(windows.kernel)
    multiple = len(w) // group
    # By tap, in the order of `taps`.
    weights = w.reshape(group, multiple, -1, *(1,) * axes)
    result = out.reshape(group, multiple, *windows.out)
    channels = max(1, _DEPTHWISE // (multiple * math.prod(windows.out)))
    term = np.empty((min(channels, group), multiple, *windows.out), out.dtype)
    for begin in range(0, group, channels):
        some = slice(begin, min(begin + channels, group))
        total, product = result[some], term[: some.stop - some.start]
        for number, (_, under) in enumerate(windows.taps()):
            np.multiply(image[(some, None, *under)], weights[some, :, number], out=product if number else total)
            if number:
                total += product


class ConvTranspose(OpRun):
    """N C *spatial, with weights C O/group *kernel."""

    def _run(
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        auto_pad: str | None = None,
        dilations: Sequence[int] | None = None,
        group: int = 1,
        kernel_shape: Sequence[int] | None = None,
        output_padding: Sequence[int] | None = None,
        output_shape: Sequence[int] | None = None,
        pads: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> tuple[Array]:
        axes = x.ndim - 2
        _check(x, w, len(w), group, kernel_shape)
        if auto_pad not in (None, "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
            raise ValueError(f"auto_pad={auto_pad} is not known")
        strides, dilations = strides or [1] * axes, dilations or [1] * axes
        extra = output_padding or [0] * axes
        # The size that all taps reach, before the padding is cut off.
        sizes = [
            (x.shape[2 + i] - 1) * strides[i] + (w.shape[2 + i] - 1) * dilations[i] + 1 + extra[i] for i in range(axes)
        ]
        if output_shape is None and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            output_shape = [x.shape[2 + i] * strides[i] for i in range(axes)]
        if output_shape is not None:
            totals = [max(0, size - wanted) for size, wanted in zip(sizes, output_shape[-axes:], strict=True)]
            begins = [total // 2 if auto_pad == "SAME_UPPER" else total - total // 2 for total in totals]
            ends = [begin + wanted for begin, wanted in zip(begins, output_shape[-axes:], strict=True)]
        else:
            pads = [0] * (2 * axes) if pads is None or auto_pad == "VALID" else pads
            begins = list(pads[:axes])
            ends = [size - pad for size, pad in zip(sizes, pads[axes:], strict=True)]
        # An output_shape can be larger than what the taps reach.
        whole = [max(size, end) for size, end in zip(sizes, ends, strict=True)]
        outputs = group * w.shape[1]
        full = np.zeros((len(x), outputs, *whole), np.result_type(x, w))
        windows = Windows(
            tuple(whole), w.shape[2:], tuple(strides), tuple(dilations), (0,) * axes, (0,) * axes, x.shape[2:]
        )
        # group, O/group, C/group
        weights = w.reshape(group, len(w) // group, w.shape[1], -1).transpose(3, 0, 2, 1)
        for image, result in zip(x, full, strict=True):
            columns = image.reshape(group, len(w) // group, -1)
            for weight, (_, under) in zip(weights, windows.taps(), strict=True):
                result[(slice(None), *under)] += (weight @ columns).reshape(outputs, *x.shape[2:])
        inside = (slice(begin, end) for begin, end in zip(begins, ends, strict=True))
        out = np.ascontiguousarray(full[(slice(None), slice(None), *inside)])
        if b is not None:
            out += b.reshape(-1, *(1,) * axes)
        return (out,)
