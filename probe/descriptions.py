"""Which nodes of an observed graph become outputs, and what is known of each: its spec."""

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import fx

from runtime.artifact.manifest import Dimension, Input, Origin, Output, Skipped
from runtime.artifact.selection import select_outputs

from .capture.traced_model import TracedModel
from .layout.layouts import infer_layouts
from .observe.observation import Observation

__all__ = ["Selection", "choose_nodes", "describe_inputs", "describe_outputs", "dtype_name", "label_parts"]

Selection = tuple[()] | tuple[Sequence[str], Sequence[str], int | None]
"""Names, labels and the depth of the outputs to keep, as of `select_outputs`; all if empty."""

_UNINITIALISED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
"""What returns memory as it was found."""


def choose_nodes(
    traced: TracedModel,
    observations: dict[fx.Node, Observation],
    results: set[fx.Node],
    wanted: Selection,
) -> tuple[dict[str, fx.Node], tuple[Skipped, ...]]:
    """Return the nodes that become outputs, by name, and the skipped ones, with reasons."""
    skipped = []
    unfilled = _unfilled(traced, observations)
    candidates: dict[fx.Node, Origin] = {}
    for node, origin in traced.origins.items():
        if node not in observations:
            continue
        reason = "memory that is not filled yet" if node in unfilled else _reason_to_skip(node, observations[node])
        # What the model returns is always an output: without it, the probe would not compute what the model does.
        if reason is None or node in results:
            candidates[node] = origin
        else:
            skipped.append(Skipped(name=origin.name, reason=reason))
    kept = {each.name for each in select_outputs(list(candidates.values()), *wanted)}
    chosen = {each.name: node for node, each in candidates.items() if each.name in kept or node in results}
    return chosen, tuple(skipped)


_OF_OPERATION = {"label", "operation", "source_file", "source_line"}


def label_parts(traced: TracedModel, observations: dict[fx.Node, Observation]) -> None:
    """Label a part that is taken of a tuple as what computed it, with that one's line: `topk`, and not `getattr`.

    An attribute of a tensor has its own name: `T`.
    """
    for node, origin in traced.origins.items():
        if not _takes_part(node) or node not in observations or observations[node].kind != "Tensor":
            continue
        taken_of: Any = node.args[0]
        whole = taken_of
        while _takes_part(whole) and not _is_tensor(whole.args[0], observations):
            whole = whole.args[0]
        if not _is_tensor(taken_of, observations):
            of = traced.origins.get(whole)
            known: dict[str, object] = of.model_dump(include=_OF_OPERATION) if of else {}
        else:
            name = str(node.args[1])
            known = {"label": name, "operation": f"torch.Tensor.{name}"} if node.target is getattr else {}
        if known.get("label"):
            traced.origins[node] = origin.model_copy(update=known)


def _takes_part(node: Any) -> bool:
    return node.target in (getattr, operator.getitem) and isinstance(node.args[0], fx.Node)


def _is_tensor(node: Any, observations: dict[fx.Node, Observation]) -> bool:
    return node not in observations or observations[node].kind == "Tensor"


def _unfilled(traced: TracedModel, observations: dict[fx.Node, Observation]) -> set[fx.Node]:
    """Return the nodes that hold whatever the memory held: `torch.empty`, and views of it until it is filled."""
    found: set[fx.Node] = set()
    storages: set[int] = set()
    for node, observation in observations.items():
        origin = traced.origins.get(node)
        if observation.memory is None:
            continue
        if origin is not None and origin.label in _UNINITIALISED:
            storages.add(observation.memory[0])
            found.add(node)
        elif observation.memory[0] in storages and not observation.written:
            # What is still written to is not complete: it is filled part by part.
            same = [each for each in node.all_input_nodes if observations[each].memory == observation.memory]
            if observation.overwritten or not found.isdisjoint(same):
                found.add(node)
    return found


def _reason_to_skip(node: fx.Node, observation: Observation) -> str | None:
    if node.op == "placeholder":
        return "an input of the model"
    if node.op == "get_attr":
        return "a parameter or buffer"
    if observation.dtype is None:
        return f"a Python value ({observation.kind})"
    if not observation.dtype.is_floating_point:
        return f"not a floating-point tensor ({dtype_name(observation.dtype)})"
    return None


def describe_outputs(
    traced: TracedModel,
    nodes: dict[str, fx.Node],
    observations: dict[fx.Node, Observation],
    shapes: dict[fx.Node, tuple[Dimension, ...]],
) -> Iterator[Output]:
    """Yield the description of each chosen node, in the order of execution."""
    layouts = infer_layouts(traced.module, observations)
    holders: dict[tuple[int, int] | None, list[fx.Node]] = {}
    for node in _inputs(traced):
        holders.setdefault(observations[node].memory, []).append(node)
    for node in nodes.values():
        observation, origin = observations[node], traced.origins[node]
        earlier = holders.setdefault(observation.memory, [])
        holder = next((each for each in earlier if _lies_within(observation, observations[each])), None)
        earlier.append(node)
        yield Output(
            **dict(origin),
            shape=shapes[node],
            dtype=dtype_name(observation.dtype),
            layout=layouts[node].letters,
            tokens=layouts[node].tokens,
            alias_of=traced.origins[holder].name if holder else None,
        )


def describe_inputs(
    traced: TracedModel,
    observations: dict[fx.Node, Observation],
    shapes: dict[fx.Node, tuple[Dimension, ...]],
) -> tuple[Input, ...]:
    """Return the descriptions of the graph's inputs, in order."""
    return tuple(
        Input(name=traced.origins[node].name, shape=shapes[node], dtype=dtype_name(observations[node].dtype))
        for node in _inputs(traced)
    )


def _inputs(traced: TracedModel) -> list[fx.Node]:
    return [node for node in traced.module.graph.nodes if node.op == "placeholder"]


def _lies_within(part: Observation, whole: Observation) -> bool:
    """Return whether every element of `part` is also one of `whole`; both must be in the same memory."""
    return whole.dense and whole.span[0] <= part.span[0] and part.span[1] <= whole.span[1]


def dtype_name(dtype: torch.dtype | None) -> str:
    """Return a dtype as the manifest names it: `float32`."""
    return str(dtype).removeprefix("torch.")
