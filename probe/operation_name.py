"""One name for an operation, however it was captured: as a module, a method, a function, an aten overload."""

import re

from torch import fx

__all__ = ["name_operation"]


def name_operation(module: fx.GraphModule, node: fx.Node) -> tuple[str, int | None]:
    """Return a name in lower case, and how many axes the image has: `nn.Conv2d`, `aten.conv2d` -> conv, 2."""
    if node.op == "call_module":
        kinds = type(module.get_submodule(str(node.target))).__mro__
        kind = next((each for each in kinds if each.__module__.startswith("torch.nn")), kinds[0])
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
    else:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    # aten's overloads have their kind behind a dot, `conv2d.default`; `relu_` writes in place, `_softmax` is internal.
    name = name.partition(".")[0].strip("_")
    numbered = re.match("(.+?)([123])d", name)
    name, spatial = (numbered[1], int(numbered[2])) if numbered else (name, None)
    if (name.endswith("pool") and "roi" not in name) or name.startswith(("upsample", "upsampling")):
        name = "pool"
    return "pad" if name.endswith("pad") else name, spatial
