"""The artifact's ONNX model with only some of its outputs: what nobody asked for is neither computed nor observed.

A runtime computes and keeps every output that a file declares, also where only some are fetched, and fuses nothing
across them; so the model has to change, not the call.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import Artifact
from .errors import ArtifactError, first_line
from .manifest import ONNX_FILE

if TYPE_CHECKING:
    import onnx

__all__ = ["cut_onnx", "load_onnx"]


def cut_onnx(artifact: Artifact, outputs: Sequence[str]) -> tuple[Path, bytes | None]:
    """Return the path of the artifact's ONNX file, and the model cut to `outputs`, or None where that is all of it.

    Weights in a file of their own stay there, and the model that is returned refers to it by name alone: who opens it
    has to tell in which folder that is (the path's).

    Raises:
        ArtifactError: the file is missing or altered, or no ONNX model.
    """
    file = artifact.file(ONNX_FILE)
    if list(outputs) == artifact.manifest.output_names:
        return file, None
    content: bytes = load_onnx(file, outputs, weights=False).SerializeToString()
    return file, content


def load_onnx(file: Path, outputs: Sequence[str], *, weights: bool) -> "onnx.ModelProto":
    """Return the model in `file` with only those graph outputs, and only the nodes and weights that they need.

    Args:
        file: of the artifact, checked.
        outputs: names of graph outputs.
        weights: read those as well that lie in a file beside.

    Raises:
        ArtifactError: it is no ONNX model.
    """
    # onnx takes a quarter of a second to import, which nobody should pay who runs the whole model.
    import onnx

    try:
        model = onnx.load(file, load_external_data=weights)
    except Exception as error:
        raise ArtifactError(f"{file} can't be loaded as an ONNX model: {first_line(error)}") from error
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
    return model


def _keep(field: Any, names: Collection[str]) -> None:
    # One by one: `extend` would copy the weights that stay.
    for index in reversed(range(len(field))):
        if field[index].name not in names:
            del field[index]


def _names_read(node: "onnx.NodeProto") -> Iterator[str]:
    """Yield what a node reads; a loop or a branch also reads values of the graph around it, by their names."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from _names_read(inner)
