"""model -> probe: trace, observe, choose the outputs, rewrite. Each step has a file of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from .errors import ModelError
from .faithfulness import compare_with_model
from .graph_rewrite import return_named
from .labels import describe_operation
from .layouts import infer_layouts
from .observation import Observation, observe, observe_shapes
from .results import find_results, settle_results
from .selection import select_names
from .shared_copy import shared_copy
from .specs import Dimension, InputSpec, OutputSpec, SkippedNode
from .tracing import TracedModel, trace

__all__ = ["Probe", "build_probe"]


@dataclass(frozen=True)
class Probe:
    """A model that returns every intermediate tensor by name: call it like the model.

    Attributes:
        module: the `torch.fx.GraphModule`; `forward` returns `{name: tensor}` in the order of `outputs`. It shares
            the model's weights in memory, in modules of its own.
        inputs: what the model is called with, in order.
        outputs: what each tensor is.
        skipped: the steps of the model that are not outputs, each with its reason.
        results: what the model itself returns: path in its return value (empty for a lone tensor) to the name of
            the output that holds it.
        model_name: the model's class.
        example: what the probe was built with.
        traced: the model's own graph, unchanged, in which `nodes` tells the node of each output: with them the
            outputs can be computed without the probe.
    """

    module: fx.GraphModule
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    skipped: tuple[SkippedNode, ...]
    results: dict[str, str]
    model_name: str
    example: tuple[torch.Tensor, ...]
    traced: TracedModel
    nodes: dict[str, fx.Node]

    def __call__(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every output by name, in the order of execution."""
        tensors: dict[str, torch.Tensor] = self.module(*inputs)
        return tensors

    def noise_input(self, batch: int = 1, seed: int = 0) -> tuple[torch.Tensor, ...]:
        """Return inputs with `batch` where the shapes say `N`: standard normal noise, or for integers the example's."""
        generator = torch.Generator().manual_seed(seed)
        made = []
        for spec, example in zip(self.inputs, self.example, strict=True):
            shape = [batch if isinstance(size, str) else size for size in spec.shape]
            if example.is_floating_point():
                made.append(torch.randn(shape, generator=generator).to(example.dtype))
            else:
                made.append(example[:1].expand(shape).clone() if example.ndim else example.clone())
        return tuple(made)


def build_probe(
    model: nn.Module,
    *example: torch.Tensor,
    outputs: Sequence[str] = (),
) -> Probe:
    """Return the probe of `model`, which stays untouched; the probe runs in eval mode and shares its weights.

    The model and the probe are run on the example, and what the model returns is compared. (The model's hooks fire
    in these runs.)

    Args:
        model: any module whose forward takes tensors.
        example: what the model is called with, such as `torch.zeros(1, 3, 64, 64)` (N C H W).
        outputs: names or globs (`layer1.*`) of the outputs to keep; all, if empty. What the model itself returns is
            always kept.

    Raises:
        ModelError: the model can't be traced, fails on the example, or its probe would compute something else.
        UnknownOutput: a pattern in `outputs` matches nothing.
    """
    if not example or not all(isinstance(tensor, torch.Tensor) for tensor in example):
        raise ModelError("build_probe needs an example input: build_probe(model, torch.zeros(1, 3, 64, 64))")
    traced = trace(shared_copy(model), len(example))
    observations = observe(traced, example)
    while settle_results(traced, observations):
        observations = observe(traced, example)
    results = find_results(traced, observations)
    if not results:
        raise ModelError(f"{type(model).__name__} returns no tensor: there is nothing that a probe could prove.")
    shapes = _symbolic_shapes(traced, observations, example)
    names = {node: origin.name for node, origin in traced.origins.items()}
    nodes, skipped = _choose(names, observations, set(results.values()), outputs)

    overwritten = {node for node in nodes.values() if observations[node].overwritten}
    placeholders = [node for node in traced.module.graph.nodes if node.op == "placeholder"]
    probe = Probe(
        module=return_named(traced.module, nodes, overwritten, f"{type(model).__name__}Probe"),
        inputs=tuple(
            InputSpec(names[node], shapes[node], _dtype_name(observations[node].dtype)) for node in placeholders
        ),
        outputs=tuple(_specify(traced, nodes, observations, shapes, placeholders)),
        skipped=skipped,
        results={path: names[node] for path, node in results.items()},
        model_name=type(model).__name__,
        example=example,
        traced=traced,
        nodes=nodes,
    )
    compare_with_model(shared_copy(model), probe.module, probe.results, example)
    return probe


def _choose(
    names: dict[fx.Node, str],
    observations: dict[fx.Node, Observation],
    results: set[fx.Node],
    patterns: Sequence[str],
) -> tuple[dict[str, fx.Node], tuple[SkippedNode, ...]]:
    """Return the nodes that become outputs, by name, and those that can't."""
    skipped = []
    candidates: dict[str, fx.Node] = {}
    for node, observation in observations.items():
        reason = _reason_to_skip(node, observation)
        # What the model returns is an output whatever it is: without it the probe would not be the model.
        if reason is None or node in results:
            candidates[names[node]] = node
        else:
            skipped.append(SkippedNode(names[node], reason))
    kept = set(select_names(list(candidates), patterns))
    return {name: node for name, node in candidates.items() if name in kept or node in results}, tuple(skipped)


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
    layouts = infer_layouts(traced.module, observations)
    holders: dict[tuple[int, int] | None, list[fx.Node]] = {}
    for node in inputs:
        holders.setdefault(observations[node].memory, []).append(node)
    for name, node in nodes.items():
        observation, origin = observations[node], traced.origins[node]
        label, operation = describe_operation(traced.module, node)
        earlier = holders.setdefault(observation.memory, [])
        holder = next((each for each in earlier if _lies_within(observation, observations[each])), None)
        earlier.append(node)
        yield OutputSpec(
            name=name,
            label=label,
            operation=operation,
            module_path=str(node.target) if node.op == "call_module" else origin.module_path,
            source_file=origin.source_file,
            source_line=origin.source_line,
            shape=shapes[node],
            dtype=_dtype_name(observation.dtype),
            layout=layouts[node].letters,
            tokens=layouts[node].tokens,
            alias_of=traced.origins[holder].name if holder else None,
        )


def _lies_within(part: Observation, whole: Observation) -> bool:
    """Tell whether every element of `part` is one of `whole`, both being in the same memory."""
    return whole.dense and whole.span[0] <= part.span[0] and part.span[1] <= whole.span[1]


def _dtype_name(dtype: torch.dtype | None) -> str:
    return str(dtype).removeprefix("torch.")
