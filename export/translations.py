"""Translations of torch's operators to ONNX that replace wrong ones of torch.onnx.

Each says what is wrong with torch.onnx's own (torch 2.15, onnxscript 0.7). To add one, write it and its row.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18 as op

from .adaptive_pooling import adaptive_avg_pool2d, adaptive_max_pool2d
from .pooling import avg_pool2d, avg_pool3d
from .resizing import upsample_nearest

__all__ = ["TRANSLATIONS"]


def _floor_divide(dividend: Any, divisor: Any) -> Any:
    """Translate `h // 2` of sizes. torch.onnx uses Div, which truncates: of an odd h, `-(-h // 2)` is then too small.

    ONNX's Mod has the sign of the divisor, as Python's has.
    """
    return op.Div(op.Sub(dividend, op.Mod(dividend, divisor)), divisor)


def _first_axis() -> Any:
    return op.Constant(value_ints=[0])


def _conv3d(
    image: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Any:
    """Translate a convolution of volumes. Without a bias, torch.onnx adds one of the wrong shape, (channels, 2)."""
    stride, padding, dilation = (
        list(sizes) * 3 if len(sizes) == 1 else list(sizes) for sizes in (stride, padding, dilation)
    )
    unbatched = len(image.shape) == 4
    if unbatched:
        image = op.Unsqueeze(image, _first_axis())
    given = [image, weight] if bias is None else [image, weight, bias]
    result = op.Conv(*given, strides=stride, pads=[*padding, *padding], dilations=dilation, group=groups)
    return op.Squeeze(result, _first_axis()) if unbatched else result


def _log_sigmoid(x: Any) -> Any:
    """Translate a log-sigmoid. torch.onnx uses Log(Sigmoid), in float32 -inf below -104, and 0 where sigmoid is 1."""
    return op.Neg(op.Softplus(op.Neg(x)))


def _one_like(x: Any) -> Any:
    one: Any = op.Constant(value_float=1.0)
    return op.CastLike(one, x)


def _log1p(x: Any) -> Any:
    """Translate log(1 + x). As torch.onnx writes it, of an x of 1e-6 the sum keeps one digit.

    The sum's own error cancels out in log(u) / (u - 1) (Kahan; Higham, Accuracy and Stability of Numerical Algorithms,
    1.14.1).
    """
    one = _one_like(x)
    total = op.Add(x, one)
    kept = op.Sub(total, one)
    near = op.Where(op.Equal(total, one), x, op.Mul(op.Log(total), op.Div(x, kept)))
    return op.Where(op.Greater(op.Abs(x), one), op.Log(total), near)


def _expm1(x: Any) -> Any:
    """Translate exp(x) - 1. As torch.onnx writes it, of an x of 1e-6 the difference keeps one digit; so as `_log1p`."""
    one = _one_like(x)
    power = op.Exp(x)
    less = op.Sub(power, one)
    near = op.Where(op.Equal(power, one), x, op.Mul(less, op.Div(x, op.Log(power))))
    return op.Where(op.Greater(op.Abs(x), one), less, near)


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    operator.floordiv: _floor_divide,
    torch.ops.aten.conv3d.default: _conv3d,
    torch.ops.aten.log_sigmoid.default: _log_sigmoid,
    torch.ops.aten.log1p.default: _log1p,
    torch.ops.aten.expm1.default: _expm1,
    torch.ops.aten.avg_pool2d.default: avg_pool2d,
    torch.ops.aten.avg_pool3d.default: avg_pool3d,
    # Where the results have one pixel, PyTorch itself computes a mean, and no _adaptive_avg_pool2d.
    torch.ops.aten._adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    torch.ops.aten.adaptive_max_pool2d.default: adaptive_max_pool2d,
    torch.ops.aten.upsample_nearest1d.vec: upsample_nearest,
    torch.ops.aten.upsample_nearest2d.vec: upsample_nearest,
    torch.ops.aten.upsample_nearest3d.vec: upsample_nearest,
}
