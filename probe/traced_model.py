"""A model as a graph of named nodes, however it was captured (`tracing.py`, `exporting.py`)."""

import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import fx

from .example import Example
from .naming import NodeNamer

__all__ = ["NodeOrigin", "TracedModel", "is_model_code", "place_of", "portable_path", "qualify"]

_NOT_MODEL_CODE = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent}{os.sep}", "<")
# The built-in CNNs are models like any other.
_BUILT_IN = str(Path(__file__).parent / "variants.py")


@dataclass(frozen=True)
class NodeOrigin:
    """Where a node of the traced graph comes from, and what a person calls it."""

    name: str
    module_path: str
    """The module it ran in, or the leaf module itself; empty for the model itself."""
    source_file: str | None
    source_line: int | None
    label: str
    """`Conv2d`, `relu`, `add`."""
    operation: str
    """The full name: `torch.nn.modules.conv.Conv2d`, `torch.flatten`."""


@dataclass(frozen=True)
class TracedModel:
    """A model as a graph: `module` computes what the model does, node by node.

    Attributes:
        module: its placeholders are the example's tensors, in the order of the model's signature.
        origins: the nodes that have a name; the others are inner steps of a leaf module, which nobody asks for.
        namer: gives out the names.
        batched: the inputs whose first size is open; None where that is still to be found by running the graph.
    """

    module: fx.GraphModule
    origins: dict[fx.Node, NodeOrigin]
    namer: NodeNamer
    batched: frozenset[int] | None = None

    def batch_guesses(self, example: Example) -> list[frozenset[int]]:
        """Return guesses, the best first, at which of the inputs have the batch as their first axis."""
        if self.batched is None:
            return example.batched_inputs()
        return [self.batched] if self.batched else []

    def adopt(self, node: fx.Node, label: str, operation: str) -> None:
        """Name a node that was added to the graph after tracing."""
        self.origins[node] = NodeOrigin(self.namer(str(node)), "", None, None, label, operation)


def qualify(name: str, module_path: str) -> str:
    """Return a node's name within the model, as torchvision begins it: `NodeNamer` makes it unique."""
    return f"{module_path}.{name}" if module_path else name


def is_model_code(file: str) -> bool:
    """Tell whether a source file is a model's own, and not torch's or ours."""
    return file == _BUILT_IN or not file.startswith(_NOT_MODEL_CODE)


def portable_path(file: str) -> str:
    """Return `file` relative to the import path that holds it, so that no artifact tells of a home folder."""
    folders = [folder for folder in sys.path if folder and Path(file).is_relative_to(folder)]
    if not folders:
        return Path(file).name
    return Path(file).relative_to(max(folders, key=len)).as_posix()


def place_of(error: BaseException) -> str:
    """Return ` (file:line)` of the model's own line that an error was raised from, or nothing if there is none."""
    for entry in reversed(traceback.extract_tb(error.__traceback__)):
        if is_model_code(entry.filename):
            return f" ({portable_path(entry.filename)}:{entry.lineno})"
    return ""
