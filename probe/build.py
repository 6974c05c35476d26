"""model -> probe: trace, observe, choose the outputs, rewrite. Each step has a file of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from .errors import ModelError
from .graph_rewrite import return_named
from .labels import describe_operation, layout_of
from .observation import Observation, observe, observe_shapes
from .selection import select_names
from .shared_copy import shared_copy
from .specs import Dimension, OutputSpec, SkippedNode
from .tracing import TracedModel, trace

__all__ = ["Probe", "build_probe"]


@dataclass(frozen=True)
class Probe:
    """A model that returns every intermediate tensor by name: call it like the model.

    Attributes:
        module: the `torch.fx.GraphModule`; `forward` returns `{name: tensor}` in the order of `outputs`. It shares
            the model's weights in memory, in modules of its own.
        outputs: what each tensor is.
        skipped: the steps of the model that are not outputs, each with its reason.
        results: what the model itself returns: path in its return value (empty for a lone tensor) to the name of
            the output that holds it.
        input_names: the model's inputs, in order.
        input_shapes: their shapes, a symbol where any size fits.
        example: the input that the probe was built with.
        model_name: the model's class.
        traced: the model's own graph, unchanged, in which `nodes` tells the node of each output.
    """

    module: fx.GraphModule
    outputs: tuple[OutputSpec, ...]
    skipped: tuple[SkippedNode, ...]
    results: dict[str, str]
    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[Dimension, ...], ...]
    example: tuple[torch.Tensor, ...]
    model_name: str
    traced: TracedModel
    nodes: dict[str, fx.Node]

    def __call__(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every output by name, in the order of execution."""
        tensors: dict[str, torch.Tensor] = self.module(*inputs)
        return tensors

    def noise_input(self, batch: int = 1, seed: int = 0) -> tuple[torch.Tensor, ...]:
        """Return standard normal noise in the shapes of the inputs, with `batch` where they say `N`."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(
            torch.randn([batch if isinstance(size, str) else size for size in shape], generator=generator)
            for shape in self.input_shapes
        )


def build_probe(
    model: nn.Module,
    *example: torch.Tensor,
    outputs: Sequence[str] = (),
) -> Probe:
    """Return the probe of `model`, which stays untouched; the probe runs in eval mode and shares its weights.

    Args:
        model: any module whose forward takes tensors.
        example: what the model is called with, such as `torch.zeros(1, 3, 64, 64)` (N C H W).
        outputs: names or globs (`layer1.*`) of the outputs to keep; all, if empty. What the model itself returns is
            always kept.

    Raises:
        ModelError: the model can't be traced, or fails on the example.
        UnknownOutput: a pattern in `outputs` matches nothing.
    """
    if not example or not all(isinstance(tensor, torch.Tensor) for tensor in example):
        raise ModelError("build_probe needs an example input: build_probe(model, torch.zeros(1, 3, 64, 64))")
    traced = trace(shared_copy(model))
    observations = observe(traced, example)
    shapes = _symbolic_shapes(traced, observations, example)
    names = {node: origin.name for node, origin in traced.origins.items()}
    results = dict(_find_results(traced.module.graph.output_node().args[0]))

    skipped = []
    candidates: dict[str, fx.Node] = {}
    for node, observation in observations.items():
        reason = _reason_to_skip(node, observation)
        # What the model returns is an output whatever it is: without it the probe would not be the model.
        if reason is None or node in results.values():
            candidates[names[node]] = node
        else:
            skipped.append(SkippedNode(names[node], reason))
    kept = set(select_names(list(candidates), outputs)) | {names[node] for node in results.values()}
    nodes = {name: node for name, node in candidates.items() if name in kept}
    if not nodes:
        raise ModelError(f"{type(model).__name__} computes no tensor from its input: there is nothing to probe.")

    overwritten = {node for node in nodes.values() if observations[node].overwritten}
    inputs = [node for node in traced.module.graph.nodes if node.op == "placeholder"]
    return Probe(
        module=return_named(traced.module, nodes, overwritten, f"{type(model).__name__}Probe"),
        outputs=tuple(_specify(traced, nodes, observations, shapes, inputs)),
        skipped=tuple(skipped),
        results={path: names[node] for path, node in results.items()},
        input_names=tuple(names[node] for node in inputs),
        input_shapes=tuple(shapes[node] for node in inputs),
        example=example,
        model_name=type(model).__name__,
        traced=traced,
        nodes=nodes,
    )


def _reason_to_skip(node: fx.Node, observation: Observation) -> str | None:
    if node.op == "placeholder":
        return "an input of the model"
    if node.op == "get_attr":
        return "a parameter or buffer"
    if observation.dtype is None:
        return f"a Python value ({observation.kind})"
    if not observation.dtype.is_floating_point:
        return f"not a floating-point tensor ({str(observation.dtype).removeprefix('torch.')})"
    return None


def _find_results(value: Any, path: str = "") -> Iterator[tuple[str, fx.Node]]:
    """Yield each tensor in the model's return value: `("", node)`, `("out", node)`, `("features.0", node)`."""
    if isinstance(value, fx.Node):
        yield path, value
        return
    if isinstance(value, dict):
        parts: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, tuple | list):
        parts = list(enumerate(value))
    else:
        return
    for key, part in parts:
        yield from _find_results(part, f"{path}.{key}".lstrip("."))


def _symbolic_shapes(
    traced: TracedModel, observations: dict[fx.Node, Observation], example: tuple[torch.Tensor, ...]
) -> dict[fx.Node, tuple[Dimension, ...]]:
    """Return each tensor's shape with `N` where the size follows the batch, `2*N` where it is a multiple of it."""
    batch = example[0].shape[0] if example[0].ndim else 0
    wider = tuple(
        torch.cat([tensor, tensor[:1]]) if tensor.ndim and tensor.shape[0] == batch and batch else tensor
        for tensor in example
    )
    other = observe_shapes(traced, wider) if batch else None
    symbolic: dict[fx.Node, tuple[Dimension, ...]] = {}
    for node, observation in observations.items():
        wide = other.get(node) if other else None
        if wide is None or len(wide) != len(observation.shape):
            symbolic[node] = observation.shape
        else:
            symbolic[node] = tuple(
                _dimension(size, wider_size, batch) for size, wider_size in zip(observation.shape, wide, strict=True)
            )
    return symbolic


def _dimension(size: int, size_in_wider: int, batch: int) -> Dimension:
    if size == size_in_wider:
        return size
    multiple, rest = divmod(size, batch)
    if rest or size_in_wider != multiple * (batch + 1):
        return "?"
    return "N" if multiple == 1 else f"{multiple}*N"


def _specify(
    traced: TracedModel,
    nodes: dict[str, fx.Node],
    observations: dict[fx.Node, Observation],
    shapes: dict[fx.Node, tuple[Dimension, ...]],
    inputs: list[fx.Node],
) -> Iterator[OutputSpec]:
    holders = {observations[node].memory: traced.origins[node].name for node in reversed(inputs)}
    for name, node in nodes.items():
        observation, origin = observations[node], traced.origins[node]
        label, operation = describe_operation(traced.module, node)
        holder = holders.setdefault(observation.memory, name)
        yield OutputSpec(
            name=name,
            label=label,
            operation=operation,
            module_path=str(node.target) if node.op == "call_module" else origin.module_path,
            source_file=origin.source_file,
            source_line=origin.source_line,
            shape=shapes[node],
            dtype=str(observation.dtype).removeprefix("torch."),
            layout=layout_of(len(observation.shape)),
            alias_of=None if holder == name else holder,
        )
