"""Operators that take and return whole steps, as real ones between DequantizeLinear and QuantizeLinear.

So the tensors of a file that computes with integers are real numbers, each known by one name, and can be replaced by
the right ones.
"""

from collections.abc import Collection

from onnx import GraphProto, NodeProto

from .contrib_parts import CONVOLUTION, Build, Parts, split

__all__ = ["with_real_values"]


def _real_conv(parts: Parts) -> list[str]:
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias = parts.inputs(9)
    real_x = parts("DequantizeLinear", x, x_scale, x_zero)
    real_w = parts("DequantizeLinear", w, w_scale, w_zero, axis=0)
    # The bias is in steps of both scales.
    real_b = parts("DequantizeLinear", bias, parts("Mul", x_scale, w_scale), axis=0) if bias else ""
    y = parts("Conv", real_x, real_w, real_b, **parts.attributes(*CONVOLUTION))
    return [parts("QuantizeLinear", y, y_scale, y_zero)]


def _real_matmul(parts: Parts) -> list[str]:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = parts.inputs(8)
    # A's has a number for all or for each row, B's for each column.
    real_a = parts("DequantizeLinear", a, a_scale, a_zero, axis=-2)
    real_b = parts("DequantizeLinear", b, b_scale, b_zero, axis=-1)
    return [parts("QuantizeLinear", parts("MatMul", real_a, real_b), y_scale, y_zero)]


_REAL: dict[str, Build] = {"QLinearConv": _real_conv, "QLinearMatMul": _real_matmul}
"""ONNX's own; those of ONNX Runtime consist of such parts anyway."""


def with_real_values(graph: GraphProto, opset: int, outputs: Collection[str]) -> None:
    """Replace such operators in a graph, and let all that uses a tensor of whole steps read one and the same real one.

    Args:
        graph: without ONNX Runtime's operators.
        opset: of ONNX's.
        outputs: values that keep their names.
    """
    nodes: list[NodeProto] = []
    for node in graph.node:
        build = None if node.domain else _REAL.get(node.op_type)
        nodes += split(node, opset, build) if build else [node]
    first: dict[tuple[str, ...], str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        if node.op_type == "DequantizeLinear":
            attributes = sorted(each.SerializeToString().hex() for each in node.attribute if each.name != "axis")
            known = first.setdefault((*node.input, *attributes), node.output[0])
            if known != node.output[0]:
                renamed[node.output[0]] = known
                if node.output[0] not in outputs:
                    continue
        kept.append(node)
    copies = GraphProto(node=kept)
    del graph.node[:]
    graph.node.extend(copies.node)
