"""A graph's module that stays in eval mode: a probe is of the model in eval mode, whose statistics it shares."""

from collections.abc import Callable
from functools import partial
from typing import Any, Self

from torch import fx, nn

__all__ = ["EvalModule"]


class EvalModule(fx.GraphModule):
    """A graph module that `train()` leaves as it is, and so each of its parts, also within another that is trained.

    A batch norm in training mode would write to the running statistics of the model whose memory it shares, and a
    graph of torch.export's has no other mode than the one that was captured.
    """

    def __init__(self, root: nn.Module | dict[str, Any], graph: fx.Graph, class_name: str = "GraphModule") -> None:
        """Make the module of the graph, over the parts of `root` to which its nodes refer."""
        super().__init__(root, graph, class_name)
        self.training = False
        for part in self.modules():
            if part is not self:
                vars(part)["train"] = partial(_as_it_is, part)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002 - nn.Module's
        """Return the module, in eval mode whatever `mode` is."""
        return self

    def __copy__(self) -> "EvalModule":
        # fx's would be a graph module of its own kind over the same parts, and its train() would reach them.
        copied = EvalModule(self, self.graph, type(self).__name__)
        copied.meta = self.meta
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (*super().__reduce__(), type(self).__name__)


def _as_it_is(part: nn.Module, mode: bool = True) -> nn.Module:  # noqa: ARG001 - nn.Module's
    """Return a part in the mode in which it is, in place of its own `train`."""
    return part


def _restored(restore: Callable[..., fx.GraphModule], arguments: tuple[Any, ...], name: str) -> EvalModule:
    """Return what fx restores as a graph module of its own kind, and nameless."""
    restored = restore(*arguments)
    return EvalModule(restored, restored.graph, name)
