"""Weights of an ONNX model that are in files beside it: which files these are, whether they may be read, and reading.

onnx and ONNX Runtime differ in what they refuse (a file with two hard links, a link that stays in the folder). Here one
rule holds for both: a location names a regular file in the model's folder, of which a link doesn't lead out.
"""

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import ArtifactError
from .file_reading import open_regular, real_path
from .protobuf import Content, enum_in, fields

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["Place", "files_referred_to", "forget_place", "load_weights", "place_of", "read_weight", "refuse_outside"]

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_KEY, _VALUE = 1, 2
_DEFAULT, _EXTERNAL = 0, 1
_LOCATION = b"location"

_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "branch", 2: "branch"},
    "graph": {1: "node", 5: "weight", 15: "sparse"},
    "branch": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "branch", 10: "tensor", 11: "branch", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""ONNX's messages in which tensors are, by field number. A weight is the graph's own, not one of a branch or a loop."""


def files_referred_to(content: Content) -> Iterator[str]:
    """Yield the locations of a model's weights that are said to be in files.

    Args:
        content: of the model, without its weights.

    Raises:
        ValueError: it is not a protobuf message, or data that isn't a weight is said to be in a file.
    """
    yield from dict.fromkeys(_locations(content, "model", 0, len(content)))


def _locations(content: Content, kind: str, start: int, end: int) -> Iterator[str]:
    # Most nodes have none, and are passed over at once.
    if content.find(_LOCATION, start, end) < 0:
        return
    if kind in ("weight", "tensor"):
        location = _location_of(content, start, end)
        if location is None:
            return
        if kind == "tensor":
            raise ValueError(f"a constant of a node is said to be in the file {location!r}: only weights may be.")
        yield location
        return
    for part in fields(content, start, end):
        inner = _INSIDE[kind].get(part.number)
        if inner is not None:
            yield from _locations(content, inner, part.content, part.end)


def _location_of(content: Content, start: int, end: int) -> str | None:
    """Return where a tensor is said to be; None if it is in the model. Of several places, the last counts."""
    external, location = False, ""
    for part in fields(content, start, end):
        if part.number == _DATA_LOCATION:
            # As every reader of ONNX's messages does: a value that isn't one of the enum's changes nothing.
            said = enum_in(content, part)
            external = said == _EXTERNAL if said in (_DEFAULT, _EXTERNAL) else external
        elif part.number == _EXTERNAL_DATA:
            entry = {each.number: content[each.content : each.end] for each in fields(content, part.content, part.end)}
            if entry.get(_KEY) == _LOCATION:
                location = entry.get(_VALUE, b"").decode()
    return location if external else None


def refuse_outside(file: Path, folder: Path, location: str) -> None:
    """Refuse a file of weights that a model has no business with.

    Args:
        file: the model's, for messages.
        folder: in which its weights are.
        location: where one of them is said to be.

    Raises:
        ArtifactError: it is outside the folder, missing, or no regular file.
    """
    path = PurePosixPath(location)
    if not location or path.is_absolute() or ".." in path.parts or "\\" in location or "\0" in location:
        raise ArtifactError(
            f"{file}: its weights are said to be in {location!r}, outside its folder.\nExport it again."
        )
    found = folder / location
    if not found.exists():
        raise ArtifactError(
            f"{file}: its weights are in {location!r}, which is not beside it.\n"
            "Copy that file there, too: a large ONNX model has two."
        )
    if not real_path(found).is_relative_to(real_path(folder)):
        raise ArtifactError(f"{file}: its weights are in {location!r}, a link out of its folder.\nCopy the file there.")
    if not found.is_file():
        raise ArtifactError(f"{file}: its weights are in {location!r}, which is not a regular file.")


def read_weight(tensor: "onnx.TensorProto", folder: Path) -> "NDArray[Any]":
    """Return a tensor's elements, from its file if they are in one.

    Raises:
        ValueError: they are not where they are said to be, or don't fit its shape.
        OSError: the file can't be read.
    """
    import onnx

    copied = onnx.TensorProto()
    copied.CopyFrom(tensor)
    _load(copied, folder)
    return onnx.numpy_helper.to_array(copied)


def load_weights(model: "onnx.ModelProto", folder: Path) -> None:
    """Read into a model the weights that are in files.

    Raises:
        ValueError: one is not where it is said to be.
        OSError: a file can't be read.
    """
    for tensor in model.graph.initializer:
        _load(tensor, folder)


def _load(tensor: "onnx.TensorProto", folder: Path) -> None:
    place = place_of(tensor, folder)
    if place is not None:
        with place.open() as stream:
            tensor.raw_data = stream.read(place.length)
        forget_place(tensor)


class Place(NamedTuple):
    """Where the elements of a weight are in a file, in bytes."""

    file: Path
    start: int
    length: int

    def open(self) -> BufferedReader:
        """Open the file at the elements.

        Raises:
            OSError: it can't be opened.
        """
        stream = open_regular(self.file)
        stream.seek(self.start)
        return stream


def place_of(tensor: "onnx.TensorProto", folder: Path) -> Place | None:
    """Return where a tensor's elements are; None if they are in the tensor.

    Raises:
        ValueError: they reach beyond the file's end, or the place is no number.
        OSError: there is no such file.
    """
    if tensor.data_location != _EXTERNAL:
        return None
    said = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = (_whole(tensor.name, key, said.get(key, "")) for key in ("offset", "length"))
    file, start = folder / said.get("location", ""), offset or 0
    size = file.stat().st_size  # 0 of what is no regular file, which isn't opened here
    if start > size or (length or 0) > size - start:
        raise ValueError(f"the weight {tensor.name!r} reaches beyond the end of {said.get('location')!r}")
    return Place(file, start, size - start if length is None else length)


def _whole(weight: str, key: str, text: str) -> int | None:
    if text and not text.isdecimal():
        raise ValueError(f"the weight {weight!r} has {text!r} as its {key}, which is no whole number")
    return int(text) if text else None


def forget_place(tensor: "onnx.TensorProto") -> None:
    """Let a tensor no longer say that its elements are in a file."""
    tensor.ClearField("data_location")
    del tensor.external_data[:]
