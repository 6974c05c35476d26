"""Refuses a model whose forward writes to its own weights, before it does: the probe shares them with the user's model,
and a copy to restore them from would take as much memory as the model.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from runtime.artifact.errors import ModelError

from .example import Example
from .shared_copy import memory_of
from .source_places import place_of

__all__ = ["refuse_weight_writes", "weights_guarded"]


@contextlib.contextmanager
def weights_guarded(copy: nn.Module) -> Iterator[None]:
    """Stop the copy of a model (`shared_copy`) before it writes to a weight, while it runs in the block.

    What it computes here must not be compared with anything: under a dispatch mode torch runs other code in places.

    Raises:
        ModelError: an operation was about to write to a parameter; the message names it, and the source line.
    """
    guard = _Guard({memory_of(parameter): name for name, parameter in copy.named_parameters()})
    try:
        with guard:
            yield
    finally:
        # Whatever else failed in the block may be a consequence.
        if guard.refused is not None:
            raise ModelError(
                f"{type(copy).__name__}'s forward writes to the parameter {guard.refused.name}"
                f"{place_of(guard.refused)}: its weights would change with every run.\n"
                "Write to a copy of it, or register it as a buffer."
            ) from guard.refused


def refuse_weight_writes(copy: nn.Module, example: Example) -> None:
    """Run the copy of a model once, guarded.

    Raises:
        ModelError: it writes to a parameter.
    """
    with weights_guarded(copy), contextlib.suppress(Exception):
        # Whatever else fails here fails again when the model is run without a guard, and is reported then.
        example.run(copy)


class _WeightWrite(RuntimeError):
    def __init__(self, name: str) -> None:
        super().__init__(f"an operation writes to the parameter {name}")
        self.name = name


class _Guard(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation before it runs, including those on `.data` and inside torch's own functions."""

    def __init__(self, weights: Mapping[int, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.refused: _WeightWrite | None = None
        self._weights = weights

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        keywords = kwargs or {}
        for tensor in _written(func, args, keywords):
            name = self._weights.get(memory_of(tensor))
            if name is not None:
                self.refused = _WeightWrite(name)
                raise self.refused
        return func(*args, **keywords)


def _written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[torch.Tensor]:
    """Yield the tensors that an operation writes to, according to its schema."""
    for position, parameter in enumerate(func._schema.arguments):
        if parameter.alias_info is not None and parameter.alias_info.is_write:
            given = args[position] if position < len(args) else kwargs.get(parameter.name)
            yield from (leaf for leaf in pytree.tree_leaves(given) if isinstance(leaf, torch.Tensor))
