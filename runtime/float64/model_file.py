"""An ONNX file of which the weights stay on the disk, each to be read when it is needed.

`onnx.load` holds the whole file and the parsed model at once, twice the weights, and copies neither lazily. The file is
a protobuf message, of which it takes little to know where each weight begins: a message is a row of fields, each a key
(number and kind), for most a length, and the content.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import onnx.inliner
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

from ..errors import ArtifactError, first_line

__all__ = ["ModelFile"]

_GRAPH = ModelProto.DESCRIPTOR.fields_by_name["graph"].number
_INITIALIZER = onnx.GraphProto.DESCRIPTOR.fields_by_name["initializer"].number
_NAME = TensorProto.DESCRIPTOR.fields_by_name["name"].number
_LENGTH_OF_KIND = {1: 8, 5: 4}
_VARINT, _WITH_LENGTH = 0, 2


class ModelFile:
    """The model in a file, its weights left out."""

    model: ModelProto
    """Without initializers; functions of its own are inlined."""

    def __init__(self, file: Path) -> None:
        """Read all but the weights.

        Raises:
            ArtifactError: it can't be read, or is no ONNX model.
        """
        self._file = file
        self._places: dict[str, slice] = {}
        try:
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                model = self._without_weights(content)
            self.model = onnx.inliner.inline_local_functions(model) if model.functions else model
        except Exception as error:  # protobuf's own errors share no base with onnx's
            raise ArtifactError(f"{file} can't be loaded as an ONNX model: {first_line(error)}") from error

    @property
    def weights(self) -> frozenset[str]:
        """The names of the initializers."""
        return frozenset(self._places)

    def weight(self, name: str) -> NDArray[Any]:
        """Read one weight, from this file or from where it refers to.

        Raises:
            ArtifactError: it is damaged, or what it refers to isn't there.
        """
        try:
            place = self._places[name]
            with self._file.open("rb") as opened:
                opened.seek(place.start)
                tensor = TensorProto.FromString(opened.read(place.stop - place.start))
            array: NDArray[Any] = numpy_helper.to_array(tensor, str(self._file.parent))
        except Exception as error:
            raise ArtifactError(f"{self._file}: the weight {name} can't be read: {first_line(error)}") from error
        return array

    def _without_weights(self, content: mmap.mmap) -> ModelProto:
        rest, rest_of_graph = bytearray(), bytearray()
        for field in _fields(content, 0, len(content)):
            if field.number != _GRAPH:
                rest += content[field.start : field.end]
                continue
            for inner in _fields(content, field.content, field.end):
                if inner.number == _INITIALIZER:
                    self._places[_name_of(content, inner)] = slice(inner.content, inner.end)
                else:
                    rest_of_graph += content[inner.start : inner.end]
        model: ModelProto = ModelProto.FromString(bytes(rest))
        model.graph.MergeFromString(bytes(rest_of_graph))
        return model


class _Field(NamedTuple):
    """Where a field lies in the file: from its key at `start`, with its content from there to `end`."""

    number: int
    start: int
    content: int
    end: int


def _fields(content: mmap.mmap, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        start = at
        key, at = _varint(content, at)
        kind = key & 7
        if kind == _WITH_LENGTH:
            length, at = _varint(content, at)
        elif kind == _VARINT:
            length = _varint(content, at)[1] - at
        elif kind in _LENGTH_OF_KIND:
            length = _LENGTH_OF_KIND[kind]
        else:
            raise ValueError("it is no protobuf message")
        if at + length > end:
            raise ValueError("it is cut short")
        yield _Field(key >> 3, start, at, at + length)
        at += length


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    """Return the number that begins there, seven bits a byte, and where it ends."""
    number = shift = 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _name_of(content: mmap.mmap, tensor: _Field) -> str:
    for field in _fields(content, tensor.content, tensor.end):
        if field.number == _NAME:
            return content[field.content : field.end].decode()
    raise ValueError("a weight has no name")
