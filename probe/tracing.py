"""model -> fx graph, in which every node has a name and the line of the model's code that made it.

Only symbolic tracing lives here; what the nodes hold is found by running them (`observation.py`).
"""

import operator
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import fx, nn

from .errors import ModelError, first_line
from .naming import NodeNamer

__all__ = ["AUGMENTED_OPERATORS", "NodeOrigin", "TracedModel", "trace"]

_NOT_MODEL_CODE = (f"{Path(torch.__file__).parent}{os.sep}", __file__, "<")


AUGMENTED_OPERATORS = {
    f"i{name}": name
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift")
}
"""What `+=` and its kin are called in the module `operator`, and what the same without writing is called."""


@dataclass(frozen=True)
class NodeOrigin:
    """Where a node of the traced graph comes from."""

    name: str
    module_path: str
    source_file: str | None
    source_line: int | None


@dataclass(frozen=True)
class TracedModel:
    """A model as a graph: `module` computes what the model does, node by node."""

    module: fx.GraphModule
    origins: dict[fx.Node, NodeOrigin]
    namer: NodeNamer

    def adopt(self, node: fx.Node) -> None:
        """Name a node that was added to the graph after tracing."""
        self.origins[node] = NodeOrigin(self.namer(str(node)), "", None, None)


def trace(model: nn.Module, inputs: int) -> TracedModel:
    """Trace `model` symbolically; leaf modules are those of `torch.nn`.

    Args:
        model: the module; tracing calls its forward, hooks included.
        inputs: how many arguments forward is given; later ones keep their defaults.

    Raises:
        ModelError: the model's control flow depends on its data, or it uses something fx can't follow; the message
            names the source line.
    """
    tracer = _NamingTracer()
    try:
        graph = tracer.trace(model)
    except Exception as error:
        file, line = _deepest_model_line(error)
        place = f"{file}:{line}" if file else type(model).__name__
        raise ModelError(
            f"{type(model).__name__} can't be traced: {first_line(error)} (at {place}).\n"
            "Control flow that depends on tensor values can't be probed as one graph: probe a submodule without it."
        ) from error
    for node, origin in tracer.origins.items():
        if not origin.name and node.op != "output":
            tracer.origins[node] = replace(origin, name=tracer.namer(_qualify(node, origin.module_path)))
    _fix_defaults(graph, type(model).__name__, inputs)
    return TracedModel(fx.GraphModule(model, graph, type(model).__name__), tracer.origins, tracer.namer)


def _qualify(node: fx.Node, module_path: str) -> str:
    """Return a node's name within the model, as torchvision begins it: `NodeNamer` makes it unique."""
    if node.op == "call_module":
        return module_path
    return f"{module_path}.{node}" if module_path else str(node)


def _fix_defaults(graph: fx.Graph, model: str, inputs: int) -> None:
    """Put the defaults in place of the arguments that forward is not given."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    required = [node.name for node in placeholders if not node.args]
    if not len(required) <= inputs <= len(placeholders):
        takes = ", ".join(str(node.target) for node in placeholders) or "nothing"
        raise ModelError(f"{model}.forward takes {takes}, and {inputs} example tensors were given: give as many.")
    defaults = {node: node.args[0] for node in placeholders[inputs:]}

    def fixed(argument: fx.Node) -> Any:
        return defaults.get(argument, argument)

    for node in graph.nodes:
        node.args = fx.node.map_arg(node.args, fixed)
        node.kwargs = fx.node.map_arg(node.kwargs, fixed)
    for node in defaults:
        graph.erase_node(node)


class _WritingProxy(fx.Proxy):
    """A proxy that notes `x += y` and `x[i] = y` as the writes they are.

    fx's own takes `x += y` for `x = x + y`, so that whoever else holds `x` would see the old values, and refuses
    `x[i] = y`. In the graph they are `operator.iadd(x, y)` and `operator.setitem(x, i, y)`.
    """

    def __setitem__(self, key: object, value: object) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, key, value), {})


def _augmented(name: str) -> Callable[[fx.Proxy, object], fx.Proxy]:
    def operation(self: fx.Proxy, other: object) -> fx.Proxy:
        # Named without the i: torchvision, which takes it for the operation that doesn't write, calls it so.
        target = getattr(operator, name)
        return self.tracer.create_proxy("call_function", target, (self, other), {}, AUGMENTED_OPERATORS[name])

    return operation


for _name in AUGMENTED_OPERATORS:
    setattr(_WritingProxy, f"__{_name.rstrip('_')}__", _augmented(_name))


class _NamingTracer(fx.Tracer):
    """Notes for each node its name, the module it ran in and the source line.

    model.forward
      +- call_module(layer1)           sets the module path
           +- call_module(conv1)       leaf: create_proxy("call_module")
           +- torch.relu(x)            create_proxy("call_function"), which names
                +- create_node         every node, also a buffer's or a constant's; notes where it comes from
    """

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[fx.Node, NodeOrigin] = {}
        self.namer = NodeNamer()
        self._module_path = ""

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        outer = self._module_path
        self._module_path = self.path_of_module(m)
        try:
            if self.is_leaf_module(m, self._module_path):
                return self.create_proxy("call_module", self._module_path, args, kwargs)
            return forward(*args, **kwargs)
        finally:
            self._module_path = outer

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _WritingProxy(node, self)

    def create_proxy(self, kind: str, target: fx.node.Target, *args: Any, **kwargs: Any) -> fx.Proxy:
        proxy = super().create_proxy(kind, target, *args, **kwargs)
        origin = self.origins[proxy.node]
        self.origins[proxy.node] = replace(origin, name=self.namer(_qualify(proxy.node, origin.module_path)))
        return proxy

    def create_node(self, kind: str, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, *args, **kwargs)
        file, line = _calling_line(sys._getframe(1))
        self.origins[node] = NodeOrigin("", self._module_path, file, line)
        return node


def _calling_line(frame: FrameType | None) -> tuple[str | None, int | None]:
    """Return file and line of the innermost frame that is a model's own code, between the operation and the tracer."""
    while frame is not None and frame.f_code is not fx.Tracer.trace.__code__:
        file = frame.f_code.co_filename
        if _is_model_code(file):
            return _portable_path(file), frame.f_lineno
        frame = frame.f_back
    return None, None


def _deepest_model_line(error: BaseException) -> tuple[str | None, int | None]:
    for entry in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_model_code(entry.filename):
            return _portable_path(entry.filename), entry.lineno
    return None, None


def _is_model_code(file: str) -> bool:
    return not file.startswith(_NOT_MODEL_CODE)


def _portable_path(file: str) -> str:
    """Return `file` relative to the import path that holds it, so that no artifact tells of a home folder."""
    folders = [folder for folder in sys.path if folder and Path(file).is_relative_to(folder)]
    if not folders:
        return Path(file).name
    return Path(file).relative_to(max(folders, key=len)).as_posix()
