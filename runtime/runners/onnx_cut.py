"""The artifact's ONNX model with only some of its outputs: what isn't requested is neither computed nor observed.

A runtime computes and keeps every output that a file declares, even if only some are fetched, and fuses nothing
across them; so the model has to change, not the call.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..artifact.folder import Artifact
from ..artifact.manifest import ONNX_FILE
from ..artifact.onnx_file import OnnxFile, read_onnx

if TYPE_CHECKING:
    import onnx


from ..artifact.onnx_file import GRAPH_OF_MODEL
from ..artifact.protobuf_wire import field

__all__ = ["cut_onnx", "executed_in_order"]


def cut_onnx(artifact: Artifact, outputs: Sequence[str]) -> OnnxFile:
    """Return the artifact's ONNX file, cut to `outputs`.

    Raises:
        ArtifactError: the file is missing or altered, or is not an ONNX model.
    """
    opened = read_onnx(artifact.file(ONNX_FILE))
    if list(outputs) == artifact.manifest.output_names:
        return opened
    model = opened.model()
    graph = model.graph
    needed = set(outputs)
    _keep(graph.output, needed)
    for index in reversed(range(len(graph.node))):
        if needed.isdisjoint(graph.node[index].output):
            del graph.node[index]
        else:
            needed.update(_names_read(graph.node[index]))
    _keep(graph.initializer, needed)
    _keep(graph.value_info, needed)
    return replace(opened, content=model.SerializeToString())


def _keep(field: Any, names: Collection[str]) -> None:
    # One by one: `extend` would copy the weights that stay.
    for index in reversed(range(len(field))):
        if field[index].name not in names:
            del field[index]


def _names_read(node: "onnx.NodeProto") -> Iterator[str]:
    """Yield the names that a node reads; a loop or a branch also reads values of the graph around it, by name."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from _names_read(inner)


_NODE_OF_GRAPH = 1
_INPUT, _OUTPUT, _NAME, _OPERATION = 1, 2, 3, 4
"""Field numbers in ONNX's messages: GraphProto and NodeProto."""


def executed_in_order(model: bytes, outputs: Sequence[str]) -> bytes:
    """Return an ONNX model's file content with the outputs computed in the given order, that of execution.

    Protobuf merges a message with one that is appended to it, so nothing needs to be parsed.
    """
    nodes = b"".join(field(_NODE_OF_GRAPH, _shape_of(name)) for name in reversed(outputs))
    return model + field(GRAPH_OF_MODEL, nodes)


def _shape_of(output: str) -> bytes:
    named = {_INPUT: output, _OUTPUT: f"order::{output}", _NAME: f"order::{output}", _OPERATION: "Shape"}
    return b"".join(field(number, text.encode()) for number, text in named.items())
