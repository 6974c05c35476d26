"""ONNX node -> what its values are called: a label, and where in a model they came from.

Exporters leave traces: PyTorch's newer one writes module paths and source lines into each node's metadata, its older
one and others put the path into the node's name.
"""

import re
from ast import literal_eval
from collections.abc import Mapping
from pathlib import PurePosixPath

from onnx import NodeProto, helper

from runtime.artifact.manifest import Origin

from .reading import domain_of

__all__ = ["origin_of"]

_SCOPES = "pkg.torch.onnx.name_scopes"
_STACK = "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_LIBRARIES = ("site-packages/torch/", "dist-packages/torch/")


def origin_of(node: NodeProto, name: str) -> Origin:
    """Return the origin of a value that a node computes, called `name`."""
    metadata = {each.key: each.value for each in node.metadata_props}
    file, line = _source(metadata)
    domain = domain_of(node.domain)
    return Origin(
        name=name,
        label=_label(node),
        operation=f"{domain or 'onnx'}.{node.op_type}",
        module_path=_module_path(node, metadata),
        source_file=file,
        source_line=line,
    )


def _label(node: NodeProto) -> str:
    """Return the operator, and of its attributes those that people speak of: `Conv 3x3 stride 2`."""
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    words = [node.op_type]
    if kernel := attributes.get("kernel_shape"):
        words.append("x".join(map(str, kernel)))
    for attribute, word in (("strides", "stride"), ("dilations", "dilation")):
        sizes = attributes.get(attribute)
        if sizes and set(sizes) != {1}:
            words.append(f"{word} {'x'.join(map(str, sizes)) if len(set(sizes)) > 1 else sizes[0]}")
    if attributes.get("group", 1) != 1:
        words.append(f"{attributes['group']} groups")
    if isinstance(attributes.get("mode"), bytes):
        words.append(attributes["mode"].decode(errors="replace"))
    return " ".join(word if word.isprintable() else "?" for word in words)


def _module_path(node: NodeProto, metadata: Mapping[str, str]) -> str:
    if _SCOPES in metadata:
        try:
            scopes = [str(each) for each in literal_eval(metadata[_SCOPES])]
        except (ValueError, SyntaxError, TypeError):
            scopes = []
        # The last one is the operation's own.
        path = next((each for each in reversed(scopes[:-1]) if each), "")
    else:
        # `/layer1/layer1.0/conv1/Conv`: each part is a module, by its own name or by its whole path.
        path = ""
        for part in [part for part in node.name.split("/") if part][:-1]:
            path = part if not path or part.startswith(f"{path}.") else f"{path}.{part}"
    return "".join(letter for letter in path if letter.isprintable())


def _source(metadata: Mapping[str, str]) -> tuple[str | None, int | None]:
    """Return the innermost line of the model's own code, relative to its import path."""
    frames = _FRAME.findall(metadata.get(_STACK, ""))
    own = [(file, line) for file, line in frames if not any(each in file for each in _LIBRARIES)]
    if not own:
        return None, None
    file, line = own[-1]
    _, packages, inside = file.rpartition("-packages/")
    shown = inside if packages else PurePosixPath(file.replace("\\", "/")).name
    return (shown, int(line)) if shown.isprintable() else (None, None)
