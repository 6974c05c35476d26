"""An ONNX file without its weights, which are referenced at their offsets in it: small, whatever the model's size.

ONNX lets a weight be external, in another file at an offset; here, that other file is the model's own. So a model is
cut, inspected and changed in milliseconds, and a runtime reads each weight from the file once: a VGG-16 opens in a
quarter of the time that it takes by its path.
"""

import mmap
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ArtifactError, first_line
from .file_reading import LARGEST_DOCUMENT_BYTES, open_regular, real_path
from .onnx_weights import files_referred_to, refuse_outside
from .plain_text import is_utf8, one_line
from .protobuf import Field, field, fields, number_field

if TYPE_CHECKING:
    import onnx

__all__ = ["GRAPH_OF_MODEL", "OnnxFile", "is_onnx", "names_read", "read_metadata", "read_onnx"]

# Field numbers in ONNX's messages.
GRAPH_OF_MODEL = 7
_METADATA_OF_MODEL = 14
_KEY, _VALUE = 1, 2
_WEIGHT_OF_GRAPH = 5
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_EXTERNAL = 1
_SMALL_BYTES = 1024
"""Up to this size a weight stays in the model: shapes and the like, whose values a runtime inspects."""


_SHOWN = 60
"""Characters of a text in a message."""
_GIT_LFS = b"version https://git-lfs"
"""What a file starts with that stands for one in Git LFS."""


@dataclass(frozen=True)
class OnnxFile:
    """A model without its weights."""

    path: Path
    content: bytes
    """As in the file, with large weights as external data."""
    folder: Path
    """The folder of the files that hold the weights."""
    beside: tuple[str, ...] = ()
    """The names of those files, but for its own."""

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
            _refuse_undecoded(model)
        except Exception as error:
            raise ArtifactError(f"{self.path} can't be loaded as an ONNX model: {first_line(error)}") from error
        return model

    def cut(self, outputs: Sequence[str]) -> "OnnxFile":
        """Return the model with only some of its outputs: what isn't requested is neither computed nor observed.

        A runtime computes and keeps every output that a file declares, even if only some are fetched, and fuses nothing
        across them; so the model has to change, not the call.

        Raises:
            ArtifactError: it is not an ONNX model.
        """
        model = self.model()
        graph = model.graph
        _keep(graph.output, outputs)
        _keep_computing(graph, outputs, given=None)
        return replace(self, content=model.SerializeToString())

    def after(self, layer: str, value: str) -> "OnnxFile":
        """Return the rest of the model, which computes a value from one of its outputs, which is an input here.

        The model's own inputs stay as far as the rest reads them: for the size of the batch, or on another path.

        Raises:
            ArtifactError: it is not an ONNX model.
        """
        model = self.model()
        graph = model.graph
        for output in graph.output:
            if output.name == layer:
                graph.input.append(output)
        del graph.output[:]
        graph.output.add().name = value
        needed = _keep_computing(graph, [value], given=layer)
        _keep(graph.input, needed)
        return replace(self, content=model.SerializeToString())


def is_onnx(file: str | Path) -> bool:
    """Return whether a file is called as an ONNX file is."""
    return str(file).lower().endswith(".onnx")


def read_onnx(file: Path) -> OnnxFile:
    """Read an ONNX file without its weights.

    Raises:
        ArtifactError: it can't be read, is not an ONNX model, or its weights are missing or outside of its folder.
    """
    # Runtimes don't follow links to weights. A large model's weights, beside it, are named after the link.
    folder = file.parent if Path(f"{file}.data").exists() else real_path(file).parent
    name = file.name if folder == file.parent else real_path(file).name
    if not is_utf8(name):
        raise ArtifactError(f"{file} can't be loaded as an ONNX model: its name is not UTF-8. Rename it.")
    with _mapped(file) as content:
        light = b"".join(_without_weights(content, name))
        beside = tuple(location for location in files_referred_to(light) if location != name)
    for location in beside:
        refuse_outside(file, folder, location)
    return OnnxFile(file, light, folder, beside)


def read_metadata(file: Path) -> dict[str, str]:
    """Return an ONNX file's `metadata_props`, but for endless ones, without loading the rest of it.

    Raises:
        ArtifactError: it can't be read, or is not an ONNX model.
    """
    with _mapped(file) as content:
        entries = [
            {part.number: content[part.content : part.end] for part in fields(content, entry.content, entry.end)}
            for entry in fields(content, 0, len(content))
            if entry.number == _METADATA_OF_MODEL and entry.end - entry.content <= LARGEST_DOCUMENT_BYTES
        ]
        return {entry.get(_KEY, b"").decode(): entry.get(_VALUE, b"").decode() for entry in entries}


def _refuse_undecoded(message: Any) -> None:
    """Refuse a message with a text that is not UTF-8, which protobuf returns as bytes in place of a text."""
    for kind, value in message.ListFields():
        of_texts = kind.type in (kind.TYPE_MESSAGE, kind.TYPE_STRING)
        for each in () if not of_texts else value if kind.is_repeated else (value,):
            if isinstance(each, bytes):
                raise UnicodeError(f"the {kind.name} {one_line(repr(each), _SHOWN)} in it is not UTF-8")
            if not isinstance(each, str):
                _refuse_undecoded(each)


@contextmanager
def _mapped(file: Path) -> Iterator[mmap.mmap]:
    """Yield the file's content, memory-mapped; an error in the body is raised as one of the file."""
    try:
        with open_regular(file) as opened:
            _refuse_stand_in(opened.read(len(_GIT_LFS)))
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                yield content
    except OSError as error:
        raise ArtifactError(f"{file} can't be read: {error.strerror or first_line(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{file} can't be loaded as an ONNX model: {first_line(error)}") from error


def _refuse_stand_in(start: bytes) -> None:
    """Refuse what is there in place of a file that wasn't copied or fetched."""
    if not start:
        raise ValueError("it is empty; copy it again.")
    if start == _GIT_LFS:
        raise ValueError("it is a pointer of Git LFS; git lfs pull fetches the file.")


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
    parts = list(fields(content, weight.content, weight.end))
    raw = any(part.number == _RAW_DATA for part in parts)
    for part in parts:
        if part.number != _RAW_DATA:
            # Where the data is may be written down though it is in the file itself: the last word counts.
            if not raw or part.number != _DATA_LOCATION:
                yield content[part.start : part.end]
            continue
        place = {"location": name, "offset": str(part.content), "length": str(part.end - part.content)}
        for key, value in place.items():
            yield field(_EXTERNAL_DATA, field(1, key.encode()) + field(2, value.encode()))
        yield number_field(_DATA_LOCATION, _EXTERNAL)


def _keep_computing(graph: "onnx.GraphProto", outputs: Sequence[str], given: str | None) -> set[str]:
    """Delete what the outputs don't need, where the given value is an input, and return the values that they do."""
    needed = set(outputs)
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if needed.isdisjoint(name for name in node.output if name != given):
            del graph.node[index]
            continue
        for place, name in enumerate(node.output):
            if name == given:  # one of several results, as of Split: there mustn't be two of one name
                node.output[place] = f"{name}::computed"
        needed.update(names_read(node))
    _keep(graph.initializer, needed)
    _keep(graph.value_info, needed)
    return needed


def _keep(entries: Any, names: Collection[str]) -> None:
    # One by one: `extend` would copy the weights that stay.
    for index in reversed(range(len(entries))):
        if entries[index].name not in names:
            del entries[index]


def names_read(node: "onnx.NodeProto") -> Iterator[str]:
    """Yield the names that a node reads; a loop or a branch also reads values of the graph around it, by name."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from names_read(inner)
