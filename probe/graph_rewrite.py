"""traced model -> the probe's graph, which returns the chosen nodes by name. What to choose is told by `build.py`."""

from collections.abc import Mapping

from torch import fx

from .plain_names import graph_module

__all__ = ["return_named"]


def return_named(
    module: fx.GraphModule, chosen: Mapping[str, fx.Node], overwritten: set[fx.Node], class_name: str
) -> fx.GraphModule:
    """Return a module over the same submodules whose forward returns `{name: tensor}` for the `chosen` nodes.

    `module` and its graph stay as they are. A node in `overwritten` is returned as a clone taken the moment it was
    computed; the model's own operations go on with the original, in place, as they would in eager PyTorch.
    """
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    graph.graph_copy(module.graph, copies)
    returned = {}
    for name, node in chosen.items():
        tensor = copies[node]
        if node in overwritten:
            with graph.inserting_after(tensor):
                tensor = graph.call_method("clone", (tensor,))
        returned[name] = tensor
    graph.output(returned)
    # Nothing is eliminated as dead: an in-place operation whose result is ignored still matters.
    return graph_module(module, graph, class_name)
