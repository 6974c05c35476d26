"""Which nodes of an observed graph become outputs, and what is known of each: its spec."""

from collections.abc import Iterator, Sequence

import torch
from torch import fx

from .capture.traced_model import TracedModel
from .layout.layouts import infer_layouts
from .observe.observation import Observation
from .selection import Candidate, select_names
from .specs import Dimension, InputSpec, OutputSpec, SkippedNode

__all__ = ["choose_nodes", "describe_inputs", "describe_outputs"]


def choose_nodes(
    traced: TracedModel,
    observations: dict[fx.Node, Observation],
    results: set[fx.Node],
    wanted: tuple[Sequence[str], Sequence[str]],
) -> tuple[dict[str, fx.Node], tuple[SkippedNode, ...]]:
    """Return the nodes that become outputs, by name, and those that can't."""
    skipped = []
    candidates: dict[fx.Node, Candidate] = {}
    for node, origin in traced.origins.items():
        if node not in observations:
            continue
        reason = _reason_to_skip(node, observations[node])
        # What the model returns is an output whatever it is: without it the probe would not be the model.
        if reason is None or node in results:
            candidates[node] = Candidate(origin.name, origin.label, origin.module_path)
        else:
            skipped.append(SkippedNode(origin.name, reason))
    kept = set(select_names(list(candidates.values()), *wanted))
    chosen = {each.name: node for node, each in candidates.items() if each.name in kept or node in results}
    return chosen, tuple(skipped)


def _reason_to_skip(node: fx.Node, observation: Observation) -> str | None:
    if node.op == "placeholder":
        return "an input of the model"
    if node.op == "get_attr":
        return "a parameter or buffer"
    if observation.dtype is None:
        return f"a Python value ({observation.kind})"
    if not observation.dtype.is_floating_point:
        return f"not a floating-point tensor ({_dtype_name(observation.dtype)})"
    return None


def describe_outputs(
    traced: TracedModel,
    nodes: dict[str, fx.Node],
    observations: dict[fx.Node, Observation],
    shapes: dict[fx.Node, tuple[Dimension, ...]],
) -> Iterator[OutputSpec]:
    """Yield what is known of each chosen node, in the order of execution."""
    layouts = infer_layouts(traced.module, observations)
    holders: dict[tuple[int, int] | None, list[fx.Node]] = {}
    for node in _inputs(traced):
        holders.setdefault(observations[node].memory, []).append(node)
    for name, node in nodes.items():
        observation, origin = observations[node], traced.origins[node]
        earlier = holders.setdefault(observation.memory, [])
        holder = next((each for each in earlier if _lies_within(observation, observations[each])), None)
        earlier.append(node)
        yield OutputSpec(
            name=name,
            label=origin.label,
            operation=origin.operation,
            module_path=origin.module_path,
            source_file=origin.source_file,
            source_line=origin.source_line,
            shape=shapes[node],
            dtype=_dtype_name(observation.dtype),
            layout=layouts[node].letters,
            tokens=layouts[node].tokens,
            alias_of=traced.origins[holder].name if holder else None,
        )


def describe_inputs(
    traced: TracedModel,
    observations: dict[fx.Node, Observation],
    shapes: dict[fx.Node, tuple[Dimension, ...]],
) -> tuple[InputSpec, ...]:
    """Return what the graph is called with, in order."""
    return tuple(
        InputSpec(traced.origins[node].name, shapes[node], _dtype_name(observations[node].dtype))
        for node in _inputs(traced)
    )


def _inputs(traced: TracedModel) -> list[fx.Node]:
    return [node for node in traced.module.graph.nodes if node.op == "placeholder"]


def _lies_within(part: Observation, whole: Observation) -> bool:
    """Tell whether every element of `part` is one of `whole`, both being in the same memory."""
    return whole.dense and whole.span[0] <= part.span[0] and part.span[1] <= whole.span[1]


def _dtype_name(dtype: torch.dtype | None) -> str:
    return str(dtype).removeprefix("torch.")
