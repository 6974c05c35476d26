"""The ONNX operators that ONNX Runtime's own operators (com.microsoft) consist of: a table of functions.

Only those that ONNX operators state exactly are here; each is tested against ONNX Runtime. For how they are used, see
`contrib.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper

__all__ = ["PARTS", "Parts"]


class Parts:
    """Collects the nodes that one node consists of.

    Attributes:
        nodes: those so far.
        opset: of ONNX's operators in this file.
    """

    def __init__(self, node: NodeProto, opset: int) -> None:
        self.nodes: list[NodeProto] = []
        self.opset = opset
        self._node = node
        self._attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output, and return that output's name."""
        return self.several(1, operator, *inputs, **attributes)[0]

    def several(self, count: int, operator: str, *inputs: str, **attributes: Any) -> list[str]:
        """Append a node with some outputs, and return their names."""
        first = next(filter(None, self._node.output))
        outputs = [f"{first}::{len(self.nodes)}::{number}" for number in range(count)]
        node = helper.make_node(operator, inputs, outputs, self._node.name, **attributes)
        node.metadata_props.extend(self._node.metadata_props)
        self.nodes.append(node)
        return outputs

    def constant(self, value: float) -> str:
        """Append a number, and return its name."""
        return self("Constant", value=numpy_helper.from_array(np.asarray(value, np.float64)))

    def inputs(self, count: int | None = None) -> list[str]:
        """Return the names of the node's inputs, or of the first ones, empty where one is omitted."""
        return list(self._node.input) if count is None else [*self._node.input, *[""] * count][:count]

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def attributes(self, *names: str) -> dict[str, Any]:
        """Return those attributes that the node has."""
        return {name: self.attribute(name) for name in names if name in self._attributes}


Build = Callable[[Parts], Sequence[str]]
"""Appends the parts, and returns the names of the results."""

_CONVOLUTION = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides")


# --- fused with what follows


def _activated(parts: Parts, x: str, numbers: Sequence[float]) -> str:
    """Append the activation that a node names."""
    name = parts.attribute("activation")
    if name in (None, ""):
        return x
    if name in ("Relu", "Sigmoid", "Tanh") and not numbers:
        return parts(name, x)
    if name == "LeakyRelu" and len(numbers) == 1:
        return parts(name, x, alpha=numbers[0])
    if name == "HardSigmoid" and len(numbers) == 2:
        return parts(name, x, alpha=numbers[0], beta=numbers[1])
    if name == "Clip" and len(numbers) == 2:
        return parts("Min", parts("Max", x, parts.constant(numbers[0])), parts.constant(numbers[1]))
    raise NotImplementedError(f"activation={name} with {len(numbers)} numbers")


def _fused_conv(parts: Parts) -> Sequence[str]:
    x, weights, bias, added = parts.inputs(4)
    y = parts("Conv", x, weights, bias, **parts.attributes(*_CONVOLUTION))
    return [_activated(parts, parts("Add", y, added) if added else y, parts.attribute("activation_params", []))]


def _fused_gemm(parts: Parts) -> Sequence[str]:
    y = parts("Gemm", *parts.inputs(3), **parts.attributes("alpha", "beta", "transA", "transB"))
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return [_activated(parts, y, list(parts.attributes(*names).values()))]


def _fused_matmul(parts: Parts) -> Sequence[str]:
    names = ("alpha", "transA", "transB", "transBatchA", "transBatchB")
    return [parts("MatMul", *parts.inputs(2), **parts.attributes(*names))]


# --- functions of each element


def _gelu(parts: Parts) -> Sequence[str]:
    return [parts("Gelu", *parts.inputs(1))]


def _bias_gelu(parts: Parts) -> Sequence[str]:
    return [parts("Gelu", parts("Add", *parts.inputs(2)))]


def _fast_gelu(parts: Parts) -> Sequence[str]:
    x, bias = parts.inputs(2)
    return [parts("Gelu", parts("Add", x, bias) if bias else x, approximate="tanh")]


def _quick_gelu(parts: Parts) -> Sequence[str]:
    (x,) = parts.inputs(1)
    steep = parts("Mul", x, parts.constant(parts.attribute("alpha", 1.702)))
    return [parts("Mul", x, parts("Sigmoid", steep))]


def _grid_sample(parts: Parts) -> Sequence[str]:
    return [parts("GridSample", *parts.inputs(2), **parts.attributes("align_corners", "mode", "padding_mode"))]


# --- normalizations


def _skip_normalization(parts: Parts) -> Sequence[str]:
    x, skip, gain, shift, bias = parts.inputs(5)
    total = _with_skip(parts, x, skip, bias)
    y = parts("LayerNormalization", total, gain, shift, epsilon=parts.attribute("epsilon", 1e-12))
    return [y, "", "", total]


def _skip_simplified_normalization(parts: Parts) -> Sequence[str]:
    x, skip, gain, bias = parts.inputs(4)
    total = _with_skip(parts, x, skip, bias)
    y = parts("RMSNormalization", total, gain, epsilon=parts.attribute("epsilon", 1e-12))
    return [y, "", "", total]


def _simplified_normalization(parts: Parts) -> Sequence[str]:
    return [parts("RMSNormalization", *parts.inputs(2), **parts.attributes("axis", "epsilon"))]


def _with_skip(parts: Parts, x: str, skip: str, bias: str) -> str:
    total = parts("Add", x, skip)
    return parts("Add", total, bias) if bias else total


# --- quantized


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
    attributes = parts.attributes(*_CONVOLUTION)
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


_FUSED: dict[str, Build] = {
    "BiasGelu": _bias_gelu,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeMatMul": _dynamically_quantized_matmul,
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "Gelu": _gelu,
    "GridSample": _grid_sample,
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
    "QuantizeLinear": _quantize,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified_normalization,
}
PARTS: dict[tuple[str, str], Build] = {
    **{("com.microsoft", name): build for name, build in _FUSED.items()},
    # Its optimizer writes this one as if it were ONNX's.
    ("", "SimplifiedLayerNormalization"): _simplified_normalization,
}
