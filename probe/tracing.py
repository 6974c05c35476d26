"""model -> fx graph, in which every node has a name and the line of the model's code that made it.

Only symbolic tracing lives here; what the nodes hold is found by running them (`observation.py`).
"""

import operator
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import fx, nn

from .errors import ModelError
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


def trace(model: nn.Module) -> TracedModel:
    """Trace `model` symbolically; leaf modules are those of `torch.nn`.

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
            f"{type(model).__name__} can't be traced: {_first_line(error)} (at {place}).\n"
            "Control flow that depends on tensor values can't be probed as one graph: probe a submodule without it."
        ) from error
    return TracedModel(fx.GraphModule(model, graph, type(model).__name__), tracer.origins)


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
           +- torch.relu(x)            create_proxy("call_function")
                +- create_node         fx's own; the origin is recorded once the node is there
    """

    def __init__(self) -> None:
        super().__init__()
        self.origins: dict[fx.Node, NodeOrigin] = {}
        self._namer = NodeNamer()
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
        node = proxy.node
        path = self._module_path
        name = path if kind == "call_module" else f"{path}.{node}" if path else str(node)
        file, line = _calling_line(sys._getframe(1))
        self.origins[node] = NodeOrigin(self._namer(name), path, file, line)
        return proxy


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


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
