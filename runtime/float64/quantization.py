"""The quantizing operators of ONNX, for its evaluator, in float64 and in any opset.

onnx's own have none before opset 19 for DequantizeLinear, compute in float32, let large values overflow into the wrong
end of the range, and mistake rows for columns in zero points.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference.op_run import OpRun

from .convolutions import convolved

__all__ = [
    "ConvInteger",
    "DequantizeLinear",
    "DequantizeNBits",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "in_whole_steps",
    "integer_limits",
    "spread",
]

Array = NDArray[Any]


class QuantizeLinear(OpRun):
    """x / scale, rounded half to even, plus the zero point, and held inside the type's range."""

    def _run(
        self,
        x: Array,
        scale: Array,
        zero_point: Array | None = None,
        axis: int = 1,
        block_size: int = 0,
        output_dtype: int = 0,
        precision: int = 0,  # noqa: ARG002 - in float64, whatever a runtime uses
        saturate: int = 1,
    ) -> tuple[Array]:
        type_ = np.dtype(np.uint8) if not output_dtype else tensor_dtype_to_np_dtype(output_dtype)
        type_ = type_ if zero_point is None else zero_point.dtype
        steps = x / spread(scale, x.shape, axis, block_size)
        if integer_limits(type_) is None:
            narrow = steps.astype(np.float32)
            cast = onnx.numpy_helper.saturate_cast(narrow, type_) if saturate else narrow.astype(type_)
            return (cast,)
        zero = 0 if zero_point is None else spread(zero_point, x.shape, axis, block_size).astype(np.float64)
        return (in_whole_steps(steps, zero, type_),)


class DequantizeLinear(OpRun):
    """(x - zero point) * scale."""

    def _run(
        self,
        x: Array,
        scale: Array,
        zero_point: Array | None = None,
        axis: int = 1,
        block_size: int = 0,
        output_dtype: int = 0,  # noqa: ARG002 - float64, whatever it is
    ) -> tuple[Array]:
        y = x.astype(np.float64)
        if zero_point is not None:
            y -= spread(zero_point, x.shape, axis, block_size).astype(np.float64)
        y *= spread(scale, x.shape, axis, block_size)
        return (y,)


class DynamicQuantizeLinear(OpRun):
    """QuantizeLinear to uint8 by the tensor's own range; also its scale and its zero point."""

    def _run(self, x: Array) -> tuple[Array, Array, Array]:
        low, high = min(0.0, float(np.min(x, initial=0.0))), max(0.0, float(np.max(x, initial=0.0)))
        # Of nothing but zeros, ONNX's definition divides by 0 and ONNX Runtime by 1.
        scale = (high - low) / 255 or 1.0
        zero = in_whole_steps(np.asarray(-low / scale), 0, np.dtype(np.uint8))
        return in_whole_steps(x / scale, zero.astype(np.float64), zero.dtype), np.asarray(scale), zero


class MatMulInteger(OpRun):
    """(A - its zero point) @ (B - its zero point): A's has a number for all or for each row, B's for each column."""

    def _run(self, a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None) -> tuple[Array]:
        return (_wrapped(_by_row(a, a_zero) @ _by_column(b, b_zero)),)


class QLinearMatMul(OpRun):
    """MatMulInteger, in whole steps of y's scale."""

    def _run(
        self,
        a: Array,
        a_scale: Array,
        a_zero: Array,
        b: Array,
        b_scale: Array,
        b_zero: Array,
        y_scale: Array,
        y_zero: Array,
    ) -> tuple[Array]:
        product = _by_row(a, a_zero) @ _by_column(b, b_zero)
        product *= _upright(a_scale, a) * b_scale / _upright(y_scale, a)
        return (in_whole_steps(product, _upright(y_zero, a).astype(np.float64), y_zero.dtype),)


class _Convolving(OpRun):
    def _convolved(
        self,
        x: Array,
        x_zero: Array | None,
        w: Array,
        w_zero: Array | None,
        **attributes: Any,
    ) -> Array:
        """Return the convolution without its scales; integers below 2**53 are exact in float64."""
        wide = w.astype(np.float64)
        if w_zero is not None:
            wide -= w_zero.astype(np.float64).reshape(-1, *(1,) * (w.ndim - 1))
        return convolved(_less(x, x_zero), wide, None, **attributes)


class ConvInteger(_Convolving):
    """A convolution of integers; its padding is the zero point."""

    def _run(
        self, x: Array, w: Array, x_zero: Array | None = None, w_zero: Array | None = None, **attributes: Any
    ) -> tuple[Array]:
        return (_wrapped(self._convolved(x, x_zero, w, w_zero, **attributes)),)


class QLinearConv(_Convolving):
    """ConvInteger plus a bias in steps of x_scale * w_scale, in whole steps of y's scale."""

    def _run(
        self,
        x: Array,
        x_scale: Array,
        x_zero: Array,
        w: Array,
        w_scale: Array,
        w_zero: Array,
        y_scale: Array,
        y_zero: Array,
        bias: Array | None = None,
        **attributes: Any,
    ) -> tuple[Array]:
        y = self._convolved(x, x_zero, w, w_zero, **attributes)
        by_channel = (-1, *(1,) * (x.ndim - 2))
        if bias is not None:
            y += bias.astype(np.float64).reshape(by_channel)
        y *= (x_scale * w_scale / y_scale).reshape(by_channel)
        return (in_whole_steps(y, y_zero.astype(np.float64), y_zero.dtype),)


class DequantizeNBits(OpRun):
    """The weights of ONNX Runtime's MatMulNBits: N, blocks of K, bytes to K N, each byte's lowest bits first."""

    def _run(
        self,
        packed: Array,
        scales: Array,
        zero_points: Array | None = None,
        K: int = 0,  # noqa: N803 - ONNX Runtime's names
        N: int = 0,  # noqa: N803
        bits: int = 4,
        block_size: int = 32,
    ) -> tuple[Array]:
        blocks = -(-K // block_size)
        w = _unpacked(packed.reshape(N * blocks, -1), bits)[:, :block_size].reshape(N, blocks, block_size)
        zero: Any = 1 << (bits - 1)
        if zero_points is not None and zero_points.dtype == np.uint8:
            zero = _unpacked(zero_points.reshape(N, -1), bits)[:, :blocks, None]
        elif zero_points is not None:
            zero = zero_points.reshape(N, blocks, 1)
        real = (w - zero) * scales.reshape(N, blocks, 1)
        return (real.reshape(N, -1)[:, :K].T,)


def _unpacked(rows: Array, bits: int) -> Array:
    """Return the numbers in each row of bytes."""
    parts = [(rows >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, axis=-1).reshape(len(rows), -1).astype(np.float64)


def in_whole_steps(steps: Array, zero: Any, type_: np.dtype[Any]) -> Array:
    """Return numbers rounded half to even, plus the zero point, inside the range of a type of integers."""
    low, high = integer_limits(type_) or (-np.inf, np.inf)
    whole: Array = np.clip(np.rint(steps) + zero, low, high).astype(type_)
    return whole


def integer_limits(type_: np.dtype[Any]) -> tuple[float, float] | None:
    """Return the range of a type of integers; None of another. NumPy itself knows none of less than 8 bits."""
    if not type_.name.startswith(("int", "uint")):
        return None
    bits = int(type_.name.rpartition("int")[2])
    return (0.0, 2.0**bits - 1) if type_.name.startswith("u") else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def _wrapped(exact: Array) -> Array:
    """Return integers in float64 as int32, which overflows as ONNX leaves it open to."""
    return exact.astype(np.int64).astype(np.int32)


def _less(x: Array, zero: Array | None) -> Array:
    wide = x.astype(np.float64)
    return wide if zero is None else wide - zero.astype(np.float64)


def _by_row(a: Array, zero: Array | None) -> Array:
    return _less(a, None if zero is None else _upright(zero, a))


def _by_column(b: Array, zero: Array | None) -> Array:
    return _less(b, zero)


def _upright(number: Array, a: Array) -> Array:
    """Return one number per row of A (or one for all, or of A's own axes) so that it broadcasts to A."""
    return number.reshape(-1, 1) if number.ndim == 1 and number.size > 1 and a.ndim > 1 else number


def spread(number: Array, shape: Sequence[int], axis: int, block_size: int) -> Array:
    """Return a scale or zero point so that it broadcasts: one for all, one per place on an axis, or one per block."""
    if number.size == 1:
        return number.reshape(())
    axis %= len(shape)
    if block_size:
        return np.repeat(number, min(block_size, shape[axis]), axis)[(slice(None),) * axis + (slice(shape[axis]),)]
    if number.ndim != 1 or number.size != shape[axis]:
        raise ValueError(f"a scale {number.shape} does not fit a tensor {tuple(shape)} along axis {axis}")
    return number.reshape(-1, *(1,) * (len(shape) - 1 - axis))
