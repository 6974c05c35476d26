"""Words for a node: what a person calls its operation, and its full name."""

import inspect
import operator

import torch
from torch import fx

from .tracing import AUGMENTED_OPERATORS

__all__ = ["describe_operation"]


def describe_operation(module: fx.GraphModule, node: fx.Node) -> tuple[str, str]:
    """Return label and full name: `("Conv2d", "torch.nn.modules.conv.Conv2d")`, `("flatten", "torch.flatten")`."""
    if node.op == "call_module":
        kind = type(module.get_submodule(str(node.target)))
        return kind.__name__, f"{kind.__module__}.{kind.__qualname__}"
    if node.op == "call_method":
        return str(node.target), f"torch.Tensor.{node.target}"
    name = getattr(node.target, "__name__", str(node.target))
    if getattr(operator, name, None) is node.target:
        # `x += y` is operator.iadd: an addition all the same, as its name in the graph says.
        return AUGMENTED_OPERATORS.get(name, name), f"operator.{name}"
    home = inspect.getmodule(node.target)
    # Functions written in C have no module of their own; torch offers them under its own name.
    module_name = home.__name__ if home else "torch" if hasattr(torch, name) else ""
    return name, f"{module_name}.{name}".lstrip(".")
