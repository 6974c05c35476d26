"""probe -> averaged probe: each output that can be drawn is replaced by its mean over the channels, N 1 H W.

This map is what most people look at, and it is smaller than the tensor by the number of channels. The mean is taken as
soon as the tensor is computed, so that no tensor is kept in memory for it.
"""

from dataclasses import replace

import torch
from torch import fx
from torch.fx.node import Argument

from runtime.artifact.errors import ModelError
from runtime.artifact.manifest import CHANNEL_AXIS, Dimension, Output

from .capture.plain_names import graph_module
from .capture.traced_model import return_named
from .probe import Probe

__all__ = ["average_probe"]


def average_probe(probe: Probe) -> Probe:
    """Return a probe over the same weights whose outputs are maps: float32, N 1 H W, in the order of execution.

    All outputs with a height and a width are averaged: N C H W, N H W C, and tokens, N L C, if their layout in the
    image is known (those that aren't patches are dropped). Results of the model without a map, such as its scores, are
    kept unchanged; other outputs without a map are dropped.

    Raises:
        ModelError: no output has a map.
    """
    kept = [spec for spec in probe.outputs if spec.has_map or spec.name in probe.results.values()]
    if not any(spec.has_map for spec in kept):
        raise ModelError(
            f"None of the outputs of {probe.model_name} has a height and a width: there is no map to average."
        )
    known = {spec.name for spec in probe.inputs} | {spec.name for spec in kept}
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    graph.output(graph.graph_copy(probe.traced.module.graph, copies))
    nodes = {}
    for spec in kept:
        node = copies[probe.nodes[spec.name]]
        nodes[spec.name] = _mean(graph, node, spec) if spec.has_map else node
    origins = {copies[node]: origin for node, origin in probe.traced.origins.items() if node in copies}
    origins |= {nodes[spec.name]: origins[copies[probe.nodes[spec.name]]] for spec in kept}
    module = graph_module(probe.traced.module, graph, f"{probe.model_name}Averaged")
    return replace(
        probe,
        # Nothing is overwritten: a mean is a new tensor, and the model's results are already in their final state.
        module=return_named(module, nodes, set(), f"{probe.model_name}AveragedProbe"),
        outputs=tuple(_describe(spec, known) for spec in kept),
        skipped=(),
        traced=replace(probe.traced, module=module, origins=origins),
        nodes=nodes,
        overwritten=frozenset(),
    )


def _mean(graph: fx.Graph, node: fx.Node, spec: Output) -> fx.Node:
    """Add the nodes that compute the mean of `node` over the channels, N 1 H W, and return the last one."""
    # Half precision would round the sum, and torch takes no mean of integers.
    dtype: dict[str, Argument] = {} if spec.dtype in ("float32", "float64") else {"dtype": torch.float32}
    with graph.inserting_after(node):
        if spec.layout == "NCHW":
            return graph.call_method("mean", (node, 1, True), dtype)
        if spec.layout == "NHWC":
            mean = graph.call_method("mean", (node, 3), dtype)
        else:
            assert spec.tokens is not None
            patches = spec.tokens.height * spec.tokens.width
            tokens = graph.call_method("narrow", (node, 1, spec.tokens.before, patches))
            with graph.inserting_after(tokens):
                mean = graph.call_method("mean", (tokens, 2), dtype)
            with graph.inserting_after(mean):
                mean = graph.call_method("unflatten", (mean, 1, (spec.tokens.height, spec.tokens.width)))
    with graph.inserting_after(mean):
        return graph.call_method("unsqueeze", (mean, 1))


def _describe(spec: Output, known: set[str]) -> Output:
    alias = spec.alias_of if spec.alias_of in known else None
    if not spec.has_map:
        return spec.model_copy(update={"alias_of": alias})
    size: tuple[Dimension, ...] = spec.shape[2:] if spec.layout == "NCHW" else spec.shape[1:3]
    if spec.tokens is not None:
        size = spec.tokens.height, spec.tokens.width
    dtype = spec.dtype if spec.dtype == "float64" else "float32"
    channels = spec.shape[CHANNEL_AXIS[spec.layout]]
    return spec.model_copy(
        update={
            "shape": (spec.shape[0], 1, *size),
            "dtype": dtype,
            "layout": "NCHW",
            "tokens": None,
            "averaged": channels if isinstance(channels, int) else None,
            "alias_of": alias,
        }
    )
