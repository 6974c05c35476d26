"""A model as a graph of named nodes, however it was captured (`fx_trace.py`, `torch_export.py`)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from torch import fx

from runtime.artifact.manifest import Origin

from ..model.example import Example
from ..model.following import Following
from .naming import NodeNamer
from .plain_names import graph_module

__all__ = ["TracedModel", "qualify", "return_named"]


@dataclass(frozen=True)
class TracedModel:
    """A model as a graph: `module` computes what the model does, node by node.

    Attributes:
        module: its placeholders are the example's tensors, in the order of the model's signature.
        origins: the nodes that have a name; the others are inner steps of a leaf module, which can't be outputs.
        namer: gives each node its name.
        batched: the inputs whose first size is open; None if that is still to be determined by running the graph.
        following: which of its tensors are the user's model's.
    """

    module: fx.GraphModule
    origins: dict[fx.Node, Origin]
    namer: NodeNamer
    batched: frozenset[int] | None = None
    following: Following = field(default_factory=Following)

    def batch_guesses(self, example: Example) -> list[frozenset[int]]:
        """Return guesses, best first, at which inputs have the batch as their first axis."""
        if self.batched is None:
            return example.batched_inputs()
        return [self.batched] if self.batched else []

    def over(self, copied: fx.GraphModule) -> "TracedModel":
        """Return the same of a deep copy of `module`, whose nodes are its own; it follows no model."""
        nodes = self.copied_nodes(copied)
        origins = {nodes[node]: origin for node, origin in self.origins.items() if node in nodes}
        return replace(self, module=copied, origins=origins, following=Following())

    def copied_nodes(self, copied: fx.GraphModule) -> dict[fx.Node, fx.Node]:
        """Return the node of a deep copy of `module` for each of its own."""
        return dict(zip(self.module.graph.nodes, copied.graph.nodes, strict=True))

    def adopt(self, node: fx.Node, label: str, operation: str) -> None:
        """Name a node that was added to the graph after tracing."""
        self.origins[node] = Origin(
            name=self.namer(str(node)),
            label=label,
            operation=operation,
            module_path="",
            source_file=None,
            source_line=None,
        )


def qualify(name: str, module_path: str) -> str:
    """Return a node's name within the model, as torchvision forms it; `NodeNamer` makes it unique."""
    return f"{module_path}.{name}" if module_path else name


def return_named(
    module: fx.GraphModule,
    chosen: Mapping[str, fx.Node],
    overwritten: Collection[fx.Node],
    class_name: str,
    *,
    to_the_last: bool = False,
) -> fx.GraphModule:
    """Return a module over the same submodules whose forward returns `{name: tensor}` for the `chosen` nodes.

    `module` and its graph stay unchanged. A node in `overwritten` is returned as a clone taken right after it was
    computed; the model's own operations continue on the original, in place, as they would in eager PyTorch. Those after
    the last of the chosen ones are dropped if it is to compute `to_the_last` only.
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
    for node in reversed(list(graph.nodes)) if to_the_last else ():
        if node in returned.values() or node.op == "placeholder":
            break
        graph.erase_node(node)
    graph.output(returned)
    # No dead code is eliminated: an in-place operation whose result is ignored still matters.
    return graph_module(module, graph, class_name)
