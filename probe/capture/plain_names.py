"""Names of modules that Python or TorchScript doesn't accept as identifiers -> ones that both accept.

`nn.ModuleDict({"class": ...})` is a valid model, but the code that fx generates for it (`self.class`) is not valid
Python. If a name isn't ASCII, TorchScript writes files that it can't read. The names of outputs are not affected.
"""

import keyword
import re
from functools import reduce

from torch import fx, nn

from .eval_module import EvalModule

__all__ = ["graph_module", "plain_name"]

_PLAIN = re.compile(r"[0-9A-Za-z_]+", re.ASCII)
_RESERVED = frozenset({*keyword.kwlist, "torch", "Ellipsis", "__constants__"})


def graph_module(root: nn.Module, graph: fx.Graph, class_name: str) -> EvalModule:
    """Return a module of the graph over the root's submodules and tensors, with odd names replaced by plain ones.

    A name that has to change is changed in the graph's targets as well.
    """
    for node in graph.nodes:
        if node.op == "placeholder" and not str(node.target).isascii():
            # The node's own name is plain and unique.
            node.target = node.name
    nodes = [node for node in graph.nodes if node.op in ("call_module", "get_attr")]
    if all(map(_is_plain, {part for node in nodes for part in str(node.target).split(".")})):
        return EvalModule(root, graph, plain_name(class_name))
    held = {}
    for node in nodes:
        path = str(node.target).split(".")
        node.target = ".".join(_plain(root, path[: index + 1]) for index in range(len(path)))
        held[node.target] = reduce(getattr, path, root)
    return EvalModule(held, graph, plain_name(class_name))


def plain_name(name: str) -> str:
    """Return `name` itself if Python and TorchScript accept it as an identifier, else one that they accept."""
    if _is_plain(name):
        return name
    return re.sub(r"[^0-9A-Za-z_]", lambda odd: f"_{ord(odd[0]):x}", name) + "_"


def _is_plain(name: str) -> bool:
    return _PLAIN.fullmatch(name) is not None and name not in _RESERVED


def _plain(root: nn.Module, path: list[str]) -> str:
    """Return a plain name for the last part of `path` that no sibling has."""
    plain = plain_name(path[-1])
    beside = dir(reduce(getattr, path[:-1], root)) if plain != path[-1] else []
    while plain in beside:
        plain += "_"
    return plain
