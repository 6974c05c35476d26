"""An ONNX model whose weights are in other files, written as one file, weight by weight.

protobuf's own writer would hold all weights, and a copy of them, in memory.
"""

from collections.abc import Sequence
from typing import BinaryIO

import onnx

from runtime.artifact.onnx_weights import Place, forget_place
from runtime.artifact.protobuf import field, field_start

__all__ = ["write_whole"]

_GRAPH_OF_MODEL, _WEIGHT_OF_GRAPH, _ELEMENTS_OF_WEIGHT = 7, 5, 9
"""Numbers of fields in ONNX's messages."""
_CHUNK = 1 << 20


def write_whole(model: onnx.ModelProto, places: Sequence[Place | None], stream: BinaryIO) -> None:
    """Write a model and its weights.

    Args:
        model: as it was read, its weights in files.
        places: of each weight, as of `place_of`.
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
    heads = list(map(_weight, model.graph.initializer, places))
    size = len(rest) + sum(map(len, heads)) + sum(place.length for place in places if place)
    stream.write(around.SerializeToString() + field_start(_GRAPH_OF_MODEL, size) + rest)
    for head, place in zip(heads, places, strict=True):
        stream.write(head)
        if place:
            _copy(place, stream)


def _weight(tensor: onnx.TensorProto, place: Place | None) -> bytes:
    """Return the field of a weight, up to its elements if those are in a file."""
    if place is None:
        return field(_WEIGHT_OF_GRAPH, tensor.SerializeToString())
    alone = onnx.TensorProto()
    alone.CopyFrom(tensor)
    forget_place(alone)
    content: bytes = alone.SerializeToString() + field_start(_ELEMENTS_OF_WEIGHT, place.length)
    return field_start(_WEIGHT_OF_GRAPH, len(content) + place.length) + content


def _copy(place: Place, stream: BinaryIO) -> None:
    """Copy a weight's elements. Its file may be larger."""
    left = place.length
    with place.open() as source:
        while left:
            some = source.read(min(left, _CHUNK))
            if not some:
                raise ValueError(f"a weight reaches beyond the end of {place.file.name!r}")
            left -= stream.write(some)
