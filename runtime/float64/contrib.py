"""Operators of ONNX Runtime (com.microsoft), each as the ONNX operators that it consists of.

Its optimizer and its quantizer write them into files. In float64 the parts compute exactly what the whole does, and
what the whole may lose by rounding is what its parts may lose. The parts themselves are in `contrib_parts.py` and
`contrib_quantized.py`.
"""

from onnx import AttributeProto, GraphProto, NodeProto

from .contrib_parts import FUSED, Build, simplified_normalization, split
from .contrib_quantized import QUANTIZED

__all__ = ["ONNX_DOMAIN", "PARTS", "refusal", "with_parts"]

ONNX_DOMAIN = "ai.onnx"
"""The long name of the domain whose name is empty."""

PARTS: dict[tuple[str, str], Build] = {
    **{("com.microsoft", name): build for name, build in {**FUSED, **QUANTIZED}.items()},
    # Its optimizer writes this one as if it were ONNX's.
    ("", "SimplifiedLayerNormalization"): simplified_normalization,
}
"""By domain and operator."""
_DOMAINS = frozenset({"", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"})
"""ONNX's own."""

_ADVICE = {"com.microsoft.nchwc": ", but for one processor: let ONNX Runtime optimize to the level extended only"}


def with_parts(graph: GraphProto, opset: int) -> None:
    """Replace ONNX Runtime's operators in a graph, and in the graphs inside it, by their parts.

    One that can't be replaced stays, and `refusal` says why when it is needed. ONNX's own domain gets its short name.
    """
    for node in graph.node:
        if node.domain == ONNX_DOMAIN:
            node.domain = ""
    if any((node.domain, node.op_type) in PARTS for node in graph.node):
        nodes = [part for node in graph.node for part in ([node] if refusal(node, opset) else _parts(node, opset))]
        copies = GraphProto(node=nodes)
        del graph.node[:]
        graph.node.extend(copies.node)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                with_parts(attribute.g, opset)


def refusal(node: NodeProto, opset: int) -> str | None:
    """Return why a node can't be evaluated if it is of no operator that ONNX, or a table here, defines."""
    if (node.domain, node.op_type) not in PARTS:
        name = f"{node.domain}.{node.op_type} is not defined by ONNX{_ADVICE.get(node.domain, '')}"
        return None if node.domain in _DOMAINS else name
    try:
        _parts(node, opset)
    except NotImplementedError as error:
        return str(error)
    return None


def _parts(node: NodeProto, opset: int) -> list[NodeProto]:
    build = PARTS.get((node.domain, node.op_type))
    if build is None:
        return [node]
    return split(node, opset, build)
