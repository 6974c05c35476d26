"""Words for a node: what a person calls its operation, and its full name."""

import inspect
import operator

import torch
from torch import fx, nn
from torch.nn.utils.parametrize import type_before_parametrizations

__all__ = ["AUGMENTED_OPERATORS", "class_of", "describe_function", "describe_operation"]

AUGMENTED_OPERATORS = {
    f"i{name.rstrip('_')}": name
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift")
}
"""What `+=` and its kin are called in the module `operator`, and what the same without writing is called."""


def describe_operation(module: fx.GraphModule, node: fx.Node) -> tuple[str, str]:
    """Return label and full name: `("Conv2d", "torch.nn.modules.conv.Conv2d")`, `("flatten", "torch.flatten")`."""
    if node.op == "call_module":
        called = module.get_submodule(str(node.target))
        name = class_of(called)
        return name.rpartition(".")[2], name
    if node.op == "call_method":
        return str(node.target), f"torch.Tensor.{node.target}"
    return describe_function(node.target)


def describe_function(function: object) -> tuple[str, str]:
    """Return label and full name of a function: `("flatten", "torch.flatten")`."""
    name = getattr(function, "__name__", str(function))
    if getattr(operator, name, None) is function:
        # `x += y` is operator.iadd: an addition all the same, as its name in the graph says.
        return AUGMENTED_OPERATORS.get(name, name), f"operator.{name}"
    home = inspect.getmodule(function)
    # Functions written in C have no module of their own; torch offers them under its own name.
    module_name = home.__name__ if home else "torch" if hasattr(torch, name) else ""
    return name, f"{module_name}.{name}".lstrip(".")


def class_of(module: nn.Module) -> str:
    """Return the full name of a module's class: `torch.nn.modules.conv.Conv2d`, also where it is parametrised."""
    kind = type_before_parametrizations(module)
    return f"{kind.__module__}.{kind.__qualname__}"
