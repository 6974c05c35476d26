"""Marks on the probe's graph that torch.export and torch.onnx carry along: which step each of their nodes belongs to.

The nodes that torch makes of one (several aten operations, decomposed again, in their own order) inherit its
annotations (`meta["custom"]`, as `torch.fx.traceback.annotate` sets them); one of them holds the node's origin.
"""

from torch import fx

from probe import Probe
from runtime.artifact.manifest import Origin

__all__ = ["marked_module", "origin_of"]

_MARK = "layerprobe.origin"


def marked_module(probe: Probe) -> fx.GraphModule:
    """Return the probe's module, over the same weights, with marks on its graph's nodes; the probe is unchanged."""
    origins = _all_origins(probe)
    graph = fx.Graph()
    returned = graph.graph_copy(probe.module.graph, {})
    graph.output(returned)
    for node in graph.nodes:
        # The rewriting keeps the traced nodes' names; the clones that it adds come after what they copy.
        origin = origins.get(node.name)
        if origin is None and node.all_input_nodes:
            origin = origin_of(node.all_input_nodes[0])
        # Nothing else: torch refuses two values for one key where it gives an operation the name of a buffer.
        node.meta.pop("custom", None)
        if origin is not None and node.op not in ("output", "get_attr"):
            node.meta["custom"] = {_MARK: origin}
    return fx.GraphModule(probe.module, graph, type(probe.module).__name__)


def origin_of(node: fx.Node) -> Origin | None:
    """Return the origin of a node in any graph that torch made from the marked one, if it is known."""
    custom = node.meta.get("custom")
    origin = custom.get(_MARK) if isinstance(custom, dict) else None
    return origin if isinstance(origin, Origin) else None


def _all_origins(probe: Probe) -> dict[str, Origin]:
    """Return the origin of each traced node by the node's name; an inner step of a leaf module has that of its user."""
    origins: dict[str, Origin] = {}
    for node in reversed(probe.traced.module.graph.nodes):
        origin = probe.traced.origins.get(node)
        if origin is None:
            origin = next((origins[user.name] for user in node.users if user.name in origins), None)
        if origin is not None:
            origins[node.name] = origin
    return origins
