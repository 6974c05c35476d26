"""An ONNX file without its weights, which are referenced at their offsets in it: small, whatever the model's size.

ONNX lets a weight be external, in another file at an offset; here, that other file is the model's own. So a model is
cut, inspected and changed in milliseconds, and a runtime reads each weight from the file once: a VGG-16 opens in a
quarter of the time that it takes by its path.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ArtifactError, first_line
from .protobuf_wire import Field, field, fields, number_field

if TYPE_CHECKING:
    import onnx

__all__ = ["GRAPH_OF_MODEL", "OnnxFile", "read_metadata", "read_onnx"]

# Field numbers in ONNX's messages.
GRAPH_OF_MODEL = 7
_METADATA_OF_MODEL = 14
_KEY, _VALUE = 1, 2
_WEIGHT_OF_GRAPH = 5
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_EXTERNAL = 1
_SMALL_BYTES = 1024
"""Up to this size a weight stays in the model: shapes and the like, whose values a runtime inspects."""


@dataclass(frozen=True)
class OnnxFile:
    """A model without its weights."""

    path: Path
    content: bytes
    """As in the file, with large weights as external data."""
    folder: Path
    """The folder of the files that hold the weights."""

    def model(self) -> "onnx.ModelProto":
        """Return the model.

        Raises:
            ArtifactError: it is not an ONNX model.
        """
        # onnx takes a quarter of a second to import, which running the whole model doesn't need.
        import onnx

        model = onnx.ModelProto()
        try:
            model.ParseFromString(self.content)
        except Exception as error:
            raise ArtifactError(f"{self.path} can't be loaded as an ONNX model: {first_line(error)}") from error
        return model


def read_onnx(file: Path) -> OnnxFile:
    """Read an ONNX file without its weights.

    Raises:
        ArtifactError: it can't be read, or is not an ONNX model.
    """
    # Runtimes don't follow links to weights. A large model's weights, beside it, are named after the link.
    folder = file.parent if Path(f"{file}.data").exists() else file.resolve().parent
    name = file.name if folder == file.parent else file.resolve().name
    with _mapped(file) as content:
        return OnnxFile(file, b"".join(_without_weights(content, name)), folder)


def read_metadata(file: Path) -> dict[str, str]:
    """Return an ONNX file's `metadata_props`, without loading the rest of it.

    Raises:
        ArtifactError: it can't be read, or is not an ONNX model.
    """
    with _mapped(file) as content:
        entries = [
            {part.number: content[part.content : part.end] for part in fields(content, entry.content, entry.end)}
            for entry in fields(content, 0, len(content))
            if entry.number == _METADATA_OF_MODEL
        ]
        return {entry.get(_KEY, b"").decode(): entry.get(_VALUE, b"").decode() for entry in entries}


@contextmanager
def _mapped(file: Path) -> Iterator[mmap.mmap]:
    """Yield the file's content, memory-mapped; an error in the body is raised as one of the file."""
    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{file} can't be loaded as an ONNX model: {first_line(error)}") from error


def _without_weights(content: mmap.mmap, name: str) -> Iterator[bytes]:
    for part in fields(content, 0, len(content)):
        if part.number != GRAPH_OF_MODEL:
            yield content[part.start : part.end]
            continue
        graph = [
            field(_WEIGHT_OF_GRAPH, b"".join(_referring(content, inner, name)))
            if inner.number == _WEIGHT_OF_GRAPH and inner.end - inner.content > _SMALL_BYTES
            else content[inner.start : inner.end]
            for inner in fields(content, part.content, part.end)
        ]
        yield field(GRAPH_OF_MODEL, b"".join(graph))


def _referring(content: mmap.mmap, weight: Field, name: str) -> Iterator[bytes]:
    """Yield a weight's fields, with a reference in place of the data."""
    for part in fields(content, weight.content, weight.end):
        if part.number != _RAW_DATA:
            yield content[part.start : part.end]
            continue
        place = {"location": name, "offset": str(part.content), "length": str(part.end - part.content)}
        for key, value in place.items():
            yield field(_EXTERNAL_DATA, field(1, key.encode()) + field(2, value.encode()))
        yield number_field(_DATA_LOCATION, _EXTERNAL)
