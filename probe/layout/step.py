"""One operation as the layout rules see it, and the two rules that many operations share.

A rule returns the result's axes, or None if it doesn't know them. It may be wrong about sizes: the caller compares them
with the observed shape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx

from .axis_factors import Axis, fresh, merge, size_of

__all__ = ["Rule", "Step", "elementwise", "indices", "table", "unknown"]


@dataclass(frozen=True)
class Step:
    """One operation: its arguments, the shape of its result, and the axes of all tensors before it."""

    node: fx.Node
    shape: tuple[int, ...]
    axes: dict[fx.Node, list[Axis]]
    spatial: int | None
    """How many axes the image has, if the operation's name says so, as conv2d does."""
    batch: int | None
    """The batch size, if the result depends on an input of the model; None if only on parameters."""
    part: int | None = None
    """Which part, if the operation returns several tensors."""

    @property
    def first(self) -> list[Axis]:
        """The axes of the first input; none if it isn't a tensor."""
        return self.tensor(self.argument(0, "input", "self", "query", "tensor"))

    def tensor(self, argument: Any) -> list[Axis]:
        """Return the axes of an argument; none if it isn't a tensor."""
        return self.axes.get(argument, []) if isinstance(argument, fx.Node) else []

    def argument(self, position: int, *names: str, default: Any = None) -> Any:
        """Return an argument by its position, or by any of its names; torch takes NumPy's, too."""
        if position < len(self.node.args):
            return self.node.args[position]
        names += ("axis",) if "dim" in names else ()
        return next((self.node.kwargs[name] for name in names if name in self.node.kwargs), default)

    def sequence(self, position: int, *names: str) -> Any:
        """Return an argument that may be passed as a sequence, or as separate arguments from this position on."""
        given = self.argument(position, *names)
        return self.node.args[position:] if isinstance(given, int | fx.Node) and position > 0 else given


Rule = Callable[[Step], list[Axis] | None]


def elementwise(step: Step) -> list[Axis] | None:
    """Merge all inputs that broadcast to the result's shape: additions, activations, normalisations.

    Others are ignored, such as PReLU's one weight per channel.
    """
    inputs = []
    for source in step.node.all_input_nodes:
        axes = step.axes.get(source)
        if axes and len(axes) <= len(step.shape):
            sizes = map(size_of, axes)
            if all(a in (1, b) for a, b in zip(sizes, step.shape[-len(axes) :], strict=True)):
                inputs.append([fresh("?", 1)] * (len(step.shape) - len(axes)) + axes)
    if any(all(size_of(axes[i]) != size for axes in inputs) for i, size in enumerate(step.shape)):
        return None
    return [merge([axes[i] for axes in inputs if size_of(axes[i]) == size], size) for i, size in enumerate(step.shape)]


def unknown(step: Step) -> list[Axis]:
    """Return axes of which nothing is known."""
    return [fresh("?", size) for size in step.shape]


def indices(given: Any, rank: int) -> list[int]:
    """Return the indices of axes that are given as one or several numbers, which may count from the end."""
    return [i % rank for i in (given if isinstance(given, Sequence) else [given])]


def table(*families: tuple[Rule, str]) -> dict[str, Rule]:
    """Return the rule of each operation, from rules and the names of the operations that each is for."""
    return {name: rule for rule, names in families for name in names.split()}
