"""What a model returns: where its tensors are in the return value, and the nodes that hold their final values."""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

from torch import fx

from runtime.artifact.errors import ModelError

from ..capture.labels import describe_operation
from ..capture.traced_model import TracedModel
from .observation import Observation

__all__ = ["find_results", "settle_results", "walk"]


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf of nested tuples, lists and dicts with its path: `("", x)`, `("out", x)`, `("features.0", x)`."""
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, tuple | list):
        parts = list(enumerate(value))
    else:
        yield path, value
        return
    for key, part in parts:
        yield from walk(part, f"{path}.{key}" if path else str(key))


def find_results(traced: TracedModel, observations: Mapping[fx.Node, Observation]) -> dict[str, fx.Node]:
    """Return the nodes of the tensors that the model returns, by path; what isn't a tensor is left out.

    Raises:
        ModelError: two of them have the same path.
    """
    results: dict[str, fx.Node] = {}
    for path, leaf in walk(traced.module.graph.output_node().args[0]):
        if isinstance(leaf, fx.Node) and observations[leaf].dtype is not None:
            if path in results:
                raise ModelError(f"The model returns two tensors at {path!r}: rename a key in one of its dictionaries.")
            results[path] = leaf
    return results


def settle_results(traced: TracedModel, observations: Mapping[fx.Node, Observation]) -> bool:
    """Add nodes where needed, so that every tensor returned is one node's value; return whether any were added.

    A tensor that is written to after its node (`y.relu_(); return y`) is returned with its final value, which no node
    holds: a clone before the output does. The same goes for an input or a parameter, which can't be an output itself,
    and for a write that torch.export returns (`y[i] = x; return y`), which has no name. A tuple
    that an operation returned is taken apart.
    """
    output = traced.module.graph.output_node()
    added = False

    def settle(leaf: fx.Node) -> Any:
        nonlocal added
        observed = observations[leaf]
        with traced.module.graph.inserting_before(output):
            if observed.keys is not None:
                added = True
                return [_add(traced, "call_function", operator.getitem, (leaf, key)) for key in observed.keys]
            is_step = leaf.op not in ("placeholder", "get_attr") and leaf in traced.origins
            if observed.dtype is not None and (observed.overwritten or not is_step):
                added = True
                return _add(traced, "call_method", "clone", (leaf,), name="output")
        return leaf

    output.args = (fx.node.map_arg(output.args[0], settle),)
    if added:
        traced.module.recompile()
    return added


def _add(traced: TracedModel, kind: str, target: Any, arguments: tuple[Any, ...], name: str | None = None) -> fx.Node:
    node = traced.module.graph.create_node(kind, target, arguments, {}, name)
    traced.adopt(node, *describe_operation(traced.module, node))
    return node
