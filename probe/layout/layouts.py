"""graph -> the layout of every tensor, inferred by following the axes from the inputs through the operations.

The rank doesn't decide it: Swin's and ConvNeXt's tensors of four axes are N H W C in places, and N C H W in others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import fx

from runtime.artifact.manifest import TokenGrid, leading_input

from ..capture.labels import name_operation
from ..observe.observation import Observation
from .axis_factors import Axis, fresh, grid_of, letter_of, size_of
from .rules import RULES
from .step import Step

__all__ = ["Layout", "infer_layouts"]

_INPUTS = {0: "", 2: "NC", 4: "NCHW", 5: "NCDHW"}
"""What image models take; of an input of another rank only the batch is known."""


@dataclass(frozen=True)
class Layout:
    """What the axes of a tensor are."""

    letters: str
    """One letter per axis: N batch, C channels or features, D H W depth, height and width, L tokens, `?` unknown."""
    tokens: TokenGrid | None
    """If the letters are NLC: how the tokens are laid out in the image, if they come from one."""


def infer_layouts(module: fx.GraphModule, observations: Mapping[fx.Node, Observation]) -> dict[fx.Node, Layout]:
    """Return the layout of every node that holds a tensor.

    Nothing is ever guessed from sizes alone: an axis that can't be followed is `?`, until an operation determines it,
    as a convolution does.

    Args:
        module: the graph, from symbolic tracing or from `torch.export`.
        observations: what each node returned when it ran.
    """
    axes: dict[fx.Node, list[Axis]] = {}
    fed: set[fx.Node] = set()
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    leading = leading_input([observations[node].shape for node in inputs])
    batch = None if leading is None else observations[inputs[leading]].shape[0]
    for node in module.graph.nodes:
        observation = observations.get(node)
        if node.op == "placeholder" or not fed.isdisjoint(node.all_input_nodes):
            fed.add(node)
        if observation is None or observation.dtype is None:
            continue
        shape = observation.shape
        if node.op == "placeholder":
            letters = _INPUTS.get(len(shape), "N" + "?" * (len(shape) - 1))
            # Another input may be a factor or a table that all images share, and as long as the batch by chance.
            if leading is not None and node is not inputs[leading] and (len(shape) == 1 or shape[:1] != (batch,)):
                letters = "?" + letters[1:] if shape else ""
            axes[node] = [fresh(letter, size) for letter, size in zip(letters, shape, strict=True)]
        elif node.op == "get_attr":
            axes[node] = _unknown(shape)
        else:
            axes[node] = _follow(module, node, observations, axes, batch if node in fed else None)
    return {node: _describe(each) for node, each in axes.items()}


def _follow(
    module: fx.GraphModule,
    node: fx.Node,
    observations: Mapping[fx.Node, Observation],
    axes: dict[fx.Node, list[Axis]],
    batch: int | None,
) -> list[Axis]:
    """Return the axes of an operation's result."""
    shape, source, part = observations[node].shape, node, None
    name, spatial = name_operation(module, node)
    if name == "getitem" and isinstance(node.args[0], fx.Node) and node.args[0] not in axes:
        # One of several tensors that an operation returned, chunk(x)[0]: that operation's rule applies.
        source = node.args[0]
        keys = observations[source].keys
        part = node.args[1] % len(keys) if keys and isinstance(node.args[1], int) else None
        name, spatial = name_operation(module, source)
    step = Step(source, shape, axes, spatial, batch, part)
    try:
        result = RULES[name](step) if name in RULES else None
    except (AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError):
        # Arguments that are computed, or have names that no rule expects: nothing is known.
        result = None
    if result is not None and tuple(map(size_of, result)) == shape:
        return result
    first = step.first
    stays = len(shape) > 1 and first and letter_of(first[0]) == "N" and size_of(first[0]) == shape[0]
    return [first[0], *_unknown(shape[1:])] if stays else _unknown(shape)


def _unknown(shape: tuple[int, ...]) -> list[Axis]:
    return [fresh("?", size) for size in shape]


def _describe(axes: list[Axis]) -> Layout:
    letters = ""
    for axis in axes:
        letter = letter_of(axis)
        # Attention has L twice, rows and columns: a letter for two axes would identify neither.
        letters += "?" if letter in letters else letter
    return Layout(letters, grid_of(axes[1]) if letters == "NLC" else None)
