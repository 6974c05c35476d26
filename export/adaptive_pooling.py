"""Translations of adaptive pooling to ONNX that hold for sizes that are open, or that the results' sizes don't divide.

torch.onnx writes a pooling with a fixed window: wrong at other sizes than it was converted with, and impossible where
windows overlap. Result i of n covers the pixels from floor(i * size / n) to ceil((i + 1) * size / n), per axis.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import onnx_ir as ir
from onnxscript import opset18

__all__ = ["adaptive_avg_pool2d", "adaptive_max_pool2d"]

op: Any = opset18  # its types don't fit values of several dtypes


class _Axis(NamedTuple):
    """One spatial axis: sizes as ONNX scalars, and as integers where they are known."""

    size: Any
    results: Any
    known: tuple[int, int] | None

    @property
    def window(self) -> int | None:
        """The window's size, if all are the same and known."""
        if self.known is None or self.known[0] % self.known[1]:
            return None
        return self.known[0] // self.known[1]

    @property
    def starts(self) -> Any:
        """The first pixel of each result, as a column."""
        index = op.Unsqueeze(_count(self.results), _ints(1))
        return op.Div(op.Mul(index, self.size), self.results)

    @property
    def ends(self) -> Any:
        """The pixel after the last of each result, as a column."""
        index = op.Unsqueeze(_count(self.results), _ints(1))
        before_rounding = op.Mul(op.Add(index, _int(1)), self.size)
        return op.Div(op.Add(before_rounding, op.Sub(self.results, _int(1))), self.results)


def adaptive_avg_pool2d(image: Any, output_size: Sequence[Any]) -> Any:
    """Translate to two products with matrices of shares: results x pixels, per axis."""
    axes = _axes(image, output_size)
    windows = [axis.window for axis in axes]
    if None not in windows and len(image.shape) == 4:
        return op.AveragePool(image, kernel_shape=windows, strides=windows)
    rows, columns = (op.CastLike(_shares(axis), image) for axis in axes)
    return op.MatMul(op.MatMul(rows, image), op.Transpose(columns, perm=[1, 0]))


def adaptive_max_pool2d(image: Any, output_size: Sequence[Any]) -> tuple[Any, Any]:
    """Translate to the maximum of each gathered window, and where in the image it is."""
    axes = _axes(image, output_size)
    unbatched = len(image.shape) == 3
    batch = op.Unsqueeze(image, _ints(0)) if unbatched else image
    rows, columns = map(_pixels, axes)
    # N C rows window columns window -> N C rows columns windows
    windows = op.Gather(op.Gather(batch, rows, axis=2), columns, axis=4)
    windows = op.Reshape(op.Transpose(windows, perm=[0, 1, 2, 4, 3, 5]), _ints(0, 0, 0, 0, -1))
    sizes = [axis.window for axis in axes]
    if None not in sizes:
        values, _ = op.MaxPool(batch, kernel_shape=sizes, strides=sizes)
    else:
        values = op.ReduceMax(windows, _ints(-1), keepdims=0)
    flat = op.Add(op.Mul(op.Unsqueeze(rows, _ints(2, 3)), axes[1].size), columns)
    flat = op.Reshape(op.Transpose(flat, perm=[0, 2, 1, 3]), _ints(0, 0, -1))
    best = op.ArgMax(windows, axis=-1, keepdims=1)
    indices = op.GatherElements(op.Expand(flat, op.Shape(windows)), best, axis=-1)
    indices = op.Squeeze(indices, _ints(-1))
    if unbatched:
        return op.Squeeze(values, _ints(0)), op.Squeeze(indices, _ints(0))
    return values, indices


def _axes(image: Any, output_size: Sequence[Any]) -> tuple[_Axis, _Axis]:
    rank = len(image.shape)
    rows, columns = (
        _Axis(
            op.Squeeze(op.Shape(image, start=axis, end=axis + 1)),
            _int(results) if isinstance(results, int) else results,
            (image.shape[axis], results) if isinstance(image.shape[axis], int) and isinstance(results, int) else None,
        )
        for axis, results in zip((rank - 2, rank - 1), output_size, strict=True)
    )
    return rows, columns


def _shares(axis: _Axis) -> Any:
    """Return the share that each pixel has in each result: results x pixels."""
    starts, ends = axis.starts, axis.ends
    pixels = _count(axis.size)
    inside = op.And(op.GreaterOrEqual(pixels, starts), op.Less(pixels, ends))
    share = op.Div(_float(1.0), op.Cast(op.Sub(ends, starts), to=ir.DataType.FLOAT))
    return op.Where(inside, share, _float(0.0))


def _pixels(axis: _Axis) -> Any:
    """Return the pixels of each result: results x the largest window, whose last pixel is repeated where it is smaller.

    No window is larger than ceil(size / results) + 1.
    """
    largest = op.Add(op.Div(op.Sub(op.Add(axis.size, axis.results), _int(1)), axis.results), _int(1))
    return op.Min(op.Add(axis.starts, _count(largest)), op.Sub(axis.ends, _int(1)))


def _count(size: Any) -> Any:
    return op.Range(_int(0), size, _int(1))


def _ints(*numbers: int) -> Any:
    return op.Constant(value_ints=list(numbers))


def _int(number: int) -> Any:
    return op.Constant(value_int=number)


def _float(number: float) -> Any:
    return op.Constant(value_float=number)
