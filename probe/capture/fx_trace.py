"""model -> fx graph by symbolic tracing: every node has a name and the line of the model's code that made it.

What the nodes hold is observed by running them (`observation.py`). What symbolic tracing can't follow,
`torch_export.py` may.
"""

import operator
import sys
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from runtime.artifact.errors import CaptureError
from runtime.artifact.manifest import Origin

from ..model.example import Example
from ..model.leaf_modules import LeafTest, torch_leaf
from ..model.source_places import calling_frame, place_of, source_line
from .labels import AUGMENTED_OPERATORS, describe_operation
from .naming import NodeNamer
from .plain_names import graph_module
from .quiet import torch_reason
from .traced_model import TracedModel, qualify

__all__ = ["trace"]


def trace(model: nn.Module, example: Example, is_leaf: LeafTest = torch_leaf) -> TracedModel:
    """Trace `model` symbolically.

    Args:
        model: the module; tracing calls its forward, hooks included.
        example: what forward is called with: its tensors are the inputs of the graph, all else stays as it is.
        is_leaf: which modules stay whole; those of `torch.nn`, if not given.

    Raises:
        CaptureError: the model's control flow depends on its data or on shapes, or it uses something that fx can't
            follow; the message names the source line.
    """
    if "forward" in vars(model):
        # torch.fx runs the class's own.
        raise CaptureError(f"torch.fx can't trace {type(model).__name__}: its forward was replaced on the instance")
    tracer = _NamingTracer(example, is_leaf)
    try:
        graph = tracer.trace(model)
    except (Exception, SystemExit) as error:
        raise CaptureError(
            f"torch.fx can't trace {type(model).__name__}: {torch_reason(error)}{place_of(error)}"
        ) from error
    _detach_data(graph)
    module = graph_module(model, graph, type(model).__name__)
    for node, origin in tracer.origins.items():
        if node.op == "output":
            continue
        # A buffer's or a constant's node is not made by create_proxy, which names the others.
        name = origin.name or tracer.namer(qualify(str(node), origin.module_path))
        label, operation = describe_operation(module, node)
        tracer.origins[node] = origin.model_copy(update={"name": name, "label": label, "operation": operation})
    return TracedModel(module, tracer.origins, tracer.namer)


class _WritingProxy(fx.Proxy):
    """A proxy that records `x += y` and `x[i] = y` as the writes they are.

    fx's own proxy treats `x += y` as `x = x + y`, so that other references to `x` would see the old values, and refuses
    `x[i] = y`. In the graph they are `operator.iadd(x, y)` and `operator.setitem(x, i, y)`.
    """

    def __setitem__(self, key: object, value: object) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, key, value), {})


def _augmented(name: str) -> Callable[[fx.Proxy, object], fx.Proxy]:
    def operation(self: fx.Proxy, other: object) -> fx.Proxy:
        # Named without the i, as in torchvision, which treats it as the operation that doesn't write.
        target = getattr(operator, name)
        return self.tracer.create_proxy("call_function", target, (self, other), {}, AUGMENTED_OPERATORS[name])

    return operation


for _name in AUGMENTED_OPERATORS:
    setattr(_WritingProxy, f"__{_name.rstrip('_')}__", _augmented(_name))


def _detach_data(graph: fx.Graph) -> None:
    """Make `x.data` a detach: the same tensor, but whose writes torch counts, and which torch.export can follow."""
    for node in graph.nodes:
        if node.target is getattr and node.args[1:] == ("data",):
            node.op, node.target, node.args = "call_method", "detach", node.args[:1]


class _NamingTracer(fx.Tracer):
    """Records each node's name, the module it ran in and the source line.

    model.forward
      +- call_module(layer1)           sets the module path
           +- call_module(conv1)       leaf: create_proxy("call_module")
           +- torch.relu(x)            create_proxy("call_function"), which names
                +- create_node         every node, also a buffer's or a constant's; records its origin
    """

    def __init__(self, example: Example, is_leaf: LeafTest) -> None:
        """Take what forward is called with, and which modules stay whole."""
        super().__init__()
        self.origins: dict[fx.Node, Origin] = {}
        self.namer = NodeNamer()
        self._module_path = ""
        self._example = example
        self._is_leaf = is_leaf

    def create_args_for_root(self, root_fn: Any, *_: object) -> tuple[Any, list[Any]]:
        # fx makes each parameter of forward an input of the graph. Here each tensor is one, within its list or
        # dictionary; flags and defaults are what they are, so that `if mask is None` takes the model's own branch.
        inputs = [self.create_proxy("placeholder", name, (), {}) for name in self._example.names]
        args, kwargs = self._example.arguments(inputs)

        def forward(model: nn.Module) -> Any:
            return root_fn(model, *args, **kwargs)

        return forward, [self.root]

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        outer = self._module_path
        self._module_path = self.path_of_module(m)
        try:
            if self._is_leaf(m, self._module_path):
                return self.create_proxy("call_module", self._module_path, args, kwargs)
            return forward(*args, **kwargs)
        finally:
            self._module_path = outer

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _WritingProxy(node, self)

    def create_proxy(self, kind: str, target: fx.node.Target, *args: Any, **kwargs: Any) -> fx.Proxy:
        proxy = super().create_proxy(kind, target, *args, **kwargs)
        origin = self.origins[proxy.node]
        path = origin.module_path
        if kind == "placeholder":
            name = self.namer.keep(str(target))
        else:
            name = self.namer(path if kind == "call_module" else qualify(str(proxy.node), path))
        self.origins[proxy.node] = origin.model_copy(update={"name": name})
        return proxy

    def create_node(self, kind: str, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, *args, **kwargs)
        file, line = source_line(calling_frame(sys._getframe(1), fx.Tracer.trace.__code__))
        # The name and the label are set later, when the node is known.
        self.origins[node] = Origin(
            name="", label="", operation="", module_path=self._module_path, source_file=file, source_line=line
        )
        return node
