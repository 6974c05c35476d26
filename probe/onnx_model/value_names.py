"""Names of an ONNX graph's values that are safe to print, and unique."""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count

import onnx
from onnx import GraphProto, helper

from runtime.float64.nodes import subgraphs

__all__ = ["name_safely", "names_used", "rename_values", "unused_name"]

_LONGEST = 200


def name_safely(model: onnx.ModelProto) -> dict[str, str]:
    """Rename the values of a model whose names hold control characters or are endless.

    What it returns as it got it, an input or a weight, is then returned by a node.

    Returns:
        By returned value, what the file called it.
    """
    graph = model.graph
    called = [value.name for value in graph.output]
    _return_by_nodes(graph)
    names = [*(value.name for value in graph.input), *(name for node in graph.node for name in node.output if name)]
    safe = _safe_names(dict.fromkeys(names), set(names_used(graph)))
    if any(name != new for name, new in safe.items()):
        rename_values(graph, safe)
    return {value.name: old for value, old in zip(graph.output, called, strict=True)}


def names_used(graph: GraphProto) -> Iterator[str]:
    """Yield the names of all values, weights and inputs, also of those inside of subgraphs."""
    yield from (each.name for each in (*graph.input, *graph.initializer))
    for node in graph.node:
        yield from node.output
        for inner in subgraphs(node):
            yield from names_used(inner)


def _safe_names(names: Collection[str], used: Collection[str]) -> dict[str, str]:
    """Return what each value is called in the artifact: its own name, but for control characters and endless ones.

    Args:
        names: of the values.
        used: names that no new one may equal.
    """
    taken: set[str] = set()
    found = {}
    for name in names:
        safe = "".join(letter if letter.isprintable() else "_" for letter in name)[:_LONGEST]
        number = 1
        while safe in taken or (safe != name and safe in used):
            number += 1
            safe = f"{safe[: _LONGEST - 8]}_{number}"
        taken.add(safe)
        found[name] = safe
    return found


def _return_by_nodes(graph: GraphProto) -> None:
    """Let a node compute what the file returns: an input or a weight that it returns as it is gets an Identity."""
    computed, used = {name for node in graph.node for name in node.output}, set(names_used(graph))
    for value in graph.output:
        if value.name not in computed:
            new = f"{value.name}_returned"
            while new in used:
                new += "_"
            used.add(new)
            graph.node.append(helper.make_node("Identity", [value.name], [new], new))
            value.name = new


def rename_values(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Rename inputs and computed values of a graph, and where its subgraphs read them."""
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in subgraphs(node):
            own = {value.name for value in (*inner.input, *inner.initializer)}
            own.update(name for each in inner.node for name in each.output)
            rename_values(inner, {name: new for name, new in names.items() if name not in own})


def unused_name(name: str, taken: Collection[str]) -> str:
    """Return a name, or the first of it with a number (`_2`, `_3`, ...), that isn't taken."""
    return next(each for each in chain([name], (f"{name}_{number}" for number in count(2))) if each not in taken)
