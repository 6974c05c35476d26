"""An ONNX model whose weights are in other files, written as one file, weight by weight.

protobuf's own writer would hold all weights, and a copy of them, in memory.
"""

from pathlib import Path
from typing import BinaryIO

import onnx

from runtime.artifact.onnx_weights import Place, forget_place, place_of
from runtime.artifact.protobuf import field_start

__all__ = ["write_whole"]

_GRAPH_OF_MODEL, _WEIGHT_OF_GRAPH, _ELEMENTS_OF_WEIGHT = 7, 5, 9
"""Numbers of fields in ONNX's messages."""
_CHUNK = 1 << 20


def write_whole(model: onnx.ModelProto, folder: Path, stream: BinaryIO) -> None:
    """Write a model and its weights.

    Args:
        model: as it was read, its weights in files.
        folder: where those are.
        stream: of the new file.

    Raises:
        ValueError: a weight is not where it is said to be.
        OSError: a file can't be read or written.
    """
    around, graph = onnx.ModelProto(), onnx.GraphProto()
    around.CopyFrom(model)
    around.ClearField("graph")
    graph.CopyFrom(model.graph)
    del graph.initializer[:]
    rest = graph.SerializeToString()
    weights = [_weight(tensor, folder) for tensor in model.graph.initializer]
    size = len(rest) + sum(len(head) + (place.length if place else 0) for head, place in weights)
    stream.write(around.SerializeToString() + field_start(_GRAPH_OF_MODEL, size) + rest)
    for head, place in weights:
        stream.write(head)
        if place:
            _copy(place, stream)


def _weight(tensor: onnx.TensorProto, folder: Path) -> tuple[bytes, Place | None]:
    """Return the field of a weight up to its elements, and where those are."""
    place = place_of(tensor, folder)
    if place is None:
        content = tensor.SerializeToString()
        return field_start(_WEIGHT_OF_GRAPH, len(content)) + content, None
    alone = onnx.TensorProto()
    alone.CopyFrom(tensor)
    forget_place(alone)
    content = alone.SerializeToString() + field_start(_ELEMENTS_OF_WEIGHT, place.length)
    return field_start(_WEIGHT_OF_GRAPH, len(content) + place.length) + content, place


def _copy(place: Place, stream: BinaryIO) -> None:
    """Copy a weight's elements. Its file may be larger."""
    left = place.length
    with place.open() as source:
        while left:
            some = source.read(min(left, _CHUNK))
            if not some:
                raise ValueError(f"it reaches beyond the end of {place.file.name}")
            left -= stream.write(some)
