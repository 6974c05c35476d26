"""Names for a node's operation: the label that a person would use, and the full name."""

import inspect
import operator
import re

import torch
from torch import fx, nn
from torch.nn.utils.parametrize import type_before_parametrizations

__all__ = ["AUGMENTED_OPERATORS", "class_of", "describe_function", "describe_operation", "name_operation"]

AUGMENTED_OPERATORS = {
    f"i{name.rstrip('_')}": name
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift")
}
"""The names of `+=` and the like in the module `operator`, and of the same operations without the write."""


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
    # Functions written in C have no module; torch exposes them under its own name.
    module_name = home.__name__ if home else "torch" if hasattr(torch, name) else ""
    return name, f"{module_name}.{name}".lstrip(".")


def class_of(module: nn.Module) -> str:
    """Return the full name of a module's class, even if it is parametrised: `torch.nn.modules.conv.Conv2d`."""
    kind = type_before_parametrizations(module)
    return f"{kind.__module__}.{kind.__qualname__}"


def name_operation(module: fx.GraphModule, node: fx.Node) -> tuple[str, int | None]:
    """Return a name in lower case, and how many axes the image has: `nn.Conv2d`, `aten.conv2d` -> conv, 2."""
    if node.op == "call_module":
        kinds = type(module.get_submodule(str(node.target))).__mro__
        kind = next((each for each in kinds if each.__module__.startswith("torch.nn")), kinds[0])
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
    else:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    # aten's overloads are named after a dot, `conv2d.default`; `relu_` writes in place, `_softmax` is internal.
    name = name.partition(".")[0].strip("_")
    numbered = re.match("(.+?)([123])d", name)
    name, spatial = (numbered[1], int(numbered[2])) if numbered else (name, None)
    if (name.endswith("pool") and "roi" not in name) or name.startswith(("upsample", "upsampling")):
        name = "pool"
    return "pad" if name.endswith("pad") else name, spatial
