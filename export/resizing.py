"""Resizing that torch.onnx writes with other pixels, or another size, than PyTorch's.

PyTorch multiplies a result's index by the scale, ONNX divides it by the inverse scale, both in float32: from 80 to 24,
where pixel 3 comes from 10, ONNX takes 9. So nearest resizing becomes a Resize only where both take the same pixels.

A size is floor(size * scale), of 80 * 1.3 in float64 104, but in float32, which ONNX computes with, 103.
"""

from collections.abc import Sequence
from itertools import starmap
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript import opset18
from onnxscript.function_libs.torch_lib.ops import nn as torch_onnx

__all__ = ["round_scales_up", "upsample_nearest"]

op: Any = opset18  # its types don't fit values of several dtypes


def upsample_nearest(image: Any, output_size: Any = None, scale_factors: Sequence[float] | None = None) -> Any:
    """Translate an image of any number of spatial axes; either `output_size` or `scale_factors` is given."""
    sizes = list(image.shape)[2:]
    scales: Sequence[float | None] = scale_factors or [None] * len(sizes)
    if all(isinstance(size, int) for size in (*sizes, *(output_size or ()))):
        wanted = output_size or [int(size * scale) for size, scale in zip(sizes, scale_factors or (), strict=True)]
        taken = [_torchs_pixels(*each) for each in zip(sizes, wanted, scales, strict=True)]
        alike = all(map(np.array_equal, taken, starmap(_onnx_pixels, zip(sizes, wanted, scales, strict=True))))
        pixels = [op.Constant(value_ints=each.tolist()) for each in taken]
    else:
        # Of an open size that is given as such, mostly that of another layer, twice the image's.
        alike = all(scale is None or scale.is_integer() for scale in scales)
        pixels = [_pixels_of_open(image, axis, scale) for axis, scale in enumerate(scales, 2) if scale]
    if alike:
        return torch_onnx.aten_upsample_nearestnd_vec(image, output_size, scale_factors)
    for axis, each in enumerate(pixels, 2):
        image = op.Gather(image, each, axis=axis)
    return image


def _pixels_of_open(image: Any, axis: int, scale: float) -> Any:
    size = op.Squeeze(op.Shape(image, start=axis, end=axis + 1))
    exact = op.Mul(op.Cast(size, to=ir.DataType.DOUBLE), op.Constant(value=ir.tensor(scale, ir.DataType.DOUBLE)))
    wanted = op.Cast(op.Floor(exact), to=ir.DataType.INT64)
    index = op.Range(op.Constant(value_int=0), wanted, op.Constant(value_int=1))
    places = op.Mul(op.Cast(index, to=ir.DataType.FLOAT), op.Constant(value_float=float(np.float32(1.0 / scale))))
    last = op.Sub(size, op.Constant(value_int=1))
    return op.Min(op.Cast(op.Floor(places), to=ir.DataType.INT64), last)


def _torchs_pixels(size: int, wanted: int, scale: float | None) -> NDArray[np.int64]:
    step = np.float32(1.0 / scale) if scale else np.float32(size) / np.float32(wanted)
    return _pixels(np.arange(wanted, dtype=np.float32) * step, size)


def _onnx_pixels(size: int, wanted: int, scale: float | None) -> NDArray[np.int64]:
    factor = _not_below(np.float32(scale)) if scale else np.float32(wanted) / np.float32(size)
    return _pixels(np.arange(wanted, dtype=np.float32) / factor, size)


def _pixels(places: NDArray[np.float32], size: int) -> NDArray[np.int64]:
    rounded: NDArray[np.int64] = np.minimum(np.floor(places), size - 1).astype(np.int64)
    return rounded


def round_scales_up(model: ir.Model) -> None:
    """Give each Resize of the model the scale at which a size is rounded as in PyTorch, whatever the image's size."""
    for node in model.graph.all_nodes():
        scales = node.inputs[2] if node.op_type == "Resize" and len(node.inputs) > 2 else None
        constant = None if scales is None else ir.convenience.get_const_tensor(scales)
        if constant is not None and constant.size:
            rounded = np.array([_not_below(each) for each in constant.numpy()], np.float32)
            made = ir.node("Constant", [], attributes={"value": ir.tensor(rounded)})
            assert node.graph is not None
            node.graph.insert_before(node, made)
            node.replace_input_with(2, made.outputs[0])


def _not_below(scale: np.float32) -> np.float32:
    """Return the next float32 if `scale` is less than the decimal number that was rounded to it: 1.3 is 1.29999995."""
    return np.nextafter(scale, np.float32(np.inf)) if float(scale) < float(str(scale)) else scale
