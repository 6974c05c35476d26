"""The ONNX operators that those of ONNX Runtime's quantizer (com.microsoft) consist of: a table of functions.

Each dequantizes, computes, and quantizes again; what it may lose is a step at a tie (`steps.py`). The others are in
`contrib_parts.py`.
"""

from collections.abc import Sequence
from typing import Any

from .contrib_parts import CONVOLUTION, Build, Parts

__all__ = ["QUANTIZED"]

_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides")


def _between(operator: str, inputs: int, *names: str) -> Build:
    """Return the parts of an operator between DequantizeLinear and QuantizeLinear."""

    def build(parts: Parts) -> Sequence[str]:
        given = parts.inputs(3 * inputs + 2)
        real = [parts("DequantizeLinear", *given[3 * place : 3 * place + 3]) for place in range(inputs)]
        return [_quantized(parts, parts(operator, *real, **parts.attributes(*names)), *given[-2:])]

    return build


def _quantized(parts: Parts, y: str, scale: str, zero: str) -> str:
    if not zero:
        raise NotImplementedError("without a zero point, the type of the result isn't known")
    return parts("QuantizeLinear", y, scale, zero)


def _quantized_pool(parts: Parts) -> Sequence[str]:
    x, scale, zero, *of_y = parts.inputs(5)
    pooled = _channels_first(parts, parts("DequantizeLinear", x, scale, zero), "AveragePool", parts.attributes(*_POOL))
    return [_quantized(parts, pooled, *of_y)]


def _quantized_global_pool(parts: Parts) -> Sequence[str]:
    x, scale, zero, *of_y = parts.inputs(5)
    real = parts("DequantizeLinear", x, scale, zero)
    return [_quantized(parts, _channels_first(parts, real, "GlobalAveragePool", {}, axes=2), *of_y)]


def _max_pool_of_channels_last(parts: Parts) -> Sequence[str]:
    (x,) = parts.inputs(1)
    return [_channels_first(parts, x, "MaxPool", parts.attributes(*_POOL), last=1)]


def _quantized_conv(parts: Parts) -> Sequence[str]:
    x, *others = parts.inputs(9)
    attributes = parts.attributes(*CONVOLUTION)
    return [_channels_first(parts, x, "QLinearConv", attributes, *others)]


def _channels_first(
    parts: Parts,
    x: str,
    operator: str,
    attributes: dict[str, Any],
    *others: str,
    last: int = 0,
    axes: int | None = None,
) -> str:
    """Append an operator of N C *spatial, between transpositions where the node takes N *spatial C."""
    if not parts.attribute("channels_last", last):
        return parts(operator, x, *others, **attributes)
    axes = axes or len(attributes.get("kernel_shape", ()))
    if not axes:
        raise NotImplementedError("without kernel_shape, the spatial axes of channels_last=1 aren't known")
    first = parts("Transpose", x, perm=[0, axes + 1, *range(1, axes + 1)])
    y = parts(operator, first, *others, **attributes)
    return parts("Transpose", y, perm=[0, *range(2, axes + 2), 1])


def _quantized_concat(parts: Parts) -> Sequence[str]:
    scale, zero, *given = parts.inputs()
    real = [parts("DequantizeLinear", *given[place : place + 3]) for place in range(0, len(given), 3)]
    return [_quantized(parts, parts("Concat", *real, axis=parts.attribute("axis")), scale, zero)]


def _quantized_where(parts: Parts) -> Sequence[str]:
    condition, x, x_scale, x_zero, y, y_scale, y_zero, *of_z = parts.inputs(9)
    real = [parts("DequantizeLinear", x, x_scale, x_zero), parts("DequantizeLinear", y, y_scale, y_zero)]
    return [_quantized(parts, parts("Where", condition, *real), *of_z)]


def _quantized_softmax(parts: Parts) -> Sequence[str]:
    if (parts.attribute("opset", 0) < 13) != (parts.opset < 13):
        raise NotImplementedError(f"QLinearSoftmax of opset {parts.attribute('opset', 0)} in a file of {parts.opset}")
    x, scale, zero, *of_y = parts.inputs(5)
    real = parts("DequantizeLinear", x, scale, zero)
    return [_quantized(parts, parts("Softmax", real, axis=parts.attribute("axis", -1)), *of_y)]


def _quantized_gemm(parts: Parts) -> Sequence[str]:
    a, a_scale, a_zero, b, b_scale, b_zero, c, *of_y = parts.inputs(9)
    real_a = parts("DequantizeLinear", a, a_scale, a_zero)
    real_b = parts("DequantizeLinear", b, b_scale, b_zero, axis=0 if parts.attribute("transB", 0) else 1)
    # The bias is in steps of both scales, and is multiplied by alpha as well.
    bias = parts("DequantizeLinear", c, parts("Mul", a_scale, b_scale), axis=-1) if c else ""
    alpha = parts.attribute("alpha", 1.0)
    y = parts("Gemm", real_a, real_b, bias, alpha=alpha, beta=alpha, **parts.attributes("transA", "transB"))
    return [_quantized(parts, y, *of_y) if of_y[0] else y]


def _quantize(parts: Parts) -> Sequence[str]:
    return [parts("QuantizeLinear", *parts.inputs(3), **parts.attributes("axis", "block_size"))]


def _dequantize(parts: Parts) -> Sequence[str]:
    return [parts("DequantizeLinear", *parts.inputs(3), **parts.attributes("axis", "block_size"))]


def _dynamically_quantized_matmul(parts: Parts) -> Sequence[str]:
    a, b, b_scale, b_zero, bias = parts.inputs(5)
    real_a = parts("DequantizeLinear", *parts.several(3, "DynamicQuantizeLinear", a))
    return [_product(parts, real_a, b, b_scale, b_zero, bias)]


def _integer_matmul_to_float(parts: Parts) -> Sequence[str]:
    a, b, a_scale, b_scale, a_zero, b_zero, bias = parts.inputs(7)
    return [_product(parts, parts("DequantizeLinear", a, a_scale, a_zero, axis=-2), b, b_scale, b_zero, bias)]


def _product(parts: Parts, a: str, b: str, b_scale: str, b_zero: str, bias: str) -> str:
    y = parts("MatMul", a, parts("DequantizeLinear", b, b_scale, b_zero, axis=-1))
    return parts("Add", y, bias) if bias else y


def _matmul_of_few_bits(parts: Parts) -> Sequence[str]:
    if parts.attribute("accuracy_level", 0) == 4:
        raise NotImplementedError("MatMulNBits with accuracy_level=4, which rounds A to 8 bits as well")
    a, b, scales, zeros, order, bias = parts.inputs(6)
    if order:
        raise NotImplementedError("MatMulNBits with g_idx")
    names = ("K", "N", "bits", "block_size")
    weights = parts("DequantizeNBits", b, scales, zeros, **parts.attributes(*names))
    y = parts("MatMul", a, weights)
    return [parts("Add", y, bias) if bias else y]


QUANTIZED: dict[str, Build] = {
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeMatMul": _dynamically_quantized_matmul,
    "MatMulIntegerToFloat": _integer_matmul_to_float,
    "MatMulNBits": _matmul_of_few_bits,
    "NhwcMaxPool": _max_pool_of_channels_last,
    "QGemm": _quantized_gemm,
    "QLinearAdd": _between("Add", 2),
    "QLinearAveragePool": _quantized_pool,
    "QLinearConcat": _quantized_concat,
    "QLinearConv": _quantized_conv,
    "QLinearGlobalAveragePool": _quantized_global_pool,
    "QLinearLeakyRelu": _between("LeakyRelu", 1, "alpha"),
    "QLinearMul": _between("Mul", 2),
    "QLinearSigmoid": _between("Sigmoid", 1),
    "QLinearSoftmax": _quantized_softmax,
    "QLinearWhere": _quantized_where,
    "QuantizeLinear": _quantize,
}
