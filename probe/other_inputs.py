"""Which inputs a model is tried on besides its example, so that what is constant by chance shows.

One rule decides, for every tensor: standard normal noise stands in for a floating-point tensor that leads or has three
or more axes, if its example is constant or goes below -1, as noise and normalised images do; any other (an index, a
region, a mask, a grid, a time, a probability) gets rows of its own example, since its domain may hold nothing else.
"""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from runtime.artifact.manifest import leading_input

from .model.example import Example
from .model.shared_copy import shared_copy
from .observe.results import walk

__all__ = ["AnotherCall", "another_call", "draw", "noise_places"]

_ORDINARY_MINIMUM = -1.0
"""A float that never goes below may be bounded: a sampling grid is in -1..1, a probability in 0..1."""


class AnotherCall(NamedTuple):
    """A call besides the example, and what the model returned for it."""

    call: Example
    returned: object
    drawn: bool
    """Whether its values are drawn by the rule; otherwise they are the example's own, in another batch."""


def another_call(model: nn.Module, example: Example, returned: object, batched: frozenset[int]) -> AnotherCall | None:
    """Return one more call to compare, with other values and (if the batch is open) another batch.

    A model may reject other values (unsorted lengths, say), or any batch except its example's; and values that make NaN
    where there was none, as a root of noise does, are outside its domain. So other values in another batch, other
    values, and another batch are tried in this order, and only the first that the model accepts is returned: each costs
    a run.

    Args:
        model: stays untouched.
        example: the call that the model takes.
        returned: what it returned for it.
        batched: the tensors whose batch is open.
    """
    other = example.of_other_batch(batched) if batched else example
    had_nan = _has_nan(returned)
    for each, drawn in ((_redrawn(other), True), (_redrawn(example), True), (other, False)):
        if not _same_tensors(each, example):
            with contextlib.suppress(Exception):
                found = each.run(shared_copy(model))
                if not drawn or had_nan or not _has_nan(found):
                    return AnotherCall(each, found, drawn)
    return None


def draw(
    tensors: Sequence[torch.Tensor], shapes: Sequence[Sequence[int]], seed: int = 0, *, own_values: bool = False
) -> tuple[torch.Tensor, ...]:
    """Return tensors of these shapes that stand in for `tensors`, by the rule above.

    Args:
        tensors: the example's.
        shapes: of the result; what is larger than the example repeats it.
        seed: another one makes another input. At 0, rows of the example stay in their order.
        own_values: use no noise, and leave all rows in their order.
    """
    generator = torch.Generator().manual_seed(seed)
    noisy = [] if own_values else noise_places(tensors)
    shuffle = generator if seed and not own_values else None
    return tuple(
        _in_format_of(
            tensor,
            torch.randn(tuple(shape), generator=generator).to(tensor)
            if place in noisy
            else _own_rows(tensor, shape, shuffle),
        )
        for place, (tensor, shape) in enumerate(zip(tensors, shapes, strict=True))
    )


def _in_format_of(example: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Return it in the example's memory format: what is a view there is a copy in another, and a write misses it."""
    for axes, kind in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if example.ndim == axes and not example.is_contiguous() and example.is_contiguous(memory_format=kind):
            return drawn.contiguous(memory_format=kind)
    return drawn


def noise_places(tensors: Sequence[torch.Tensor]) -> list[int]:
    """Return the places of the tensors for which noise stands in, by the rule above."""
    leading = leading_input([tensor.shape for tensor in tensors])
    return [place for place, tensor in enumerate(tensors) if _takes_noise(tensor, leading=place == leading)]


def _redrawn(example: Example) -> Example:
    return example.replaced(draw(example.tensors, [tensor.shape for tensor in example.tensors], seed=1))


def _takes_noise(tensor: torch.Tensor, *, leading: bool) -> bool:
    if not tensor.is_floating_point() or tensor.numel() < 2 or not (leading or tensor.ndim > 2):
        return False
    low, high = tensor.float().aminmax()
    # On constants, such as zeros, a convolution returns constants, and two models can't be told apart.
    return bool(low == high) or bool(low < _ORDINARY_MINIMUM)


def _own_rows(tensor: torch.Tensor, shape: Sequence[int], generator: torch.Generator | None) -> torch.Tensor:
    """Return the example's own rows in a tensor of another shape: at random if there is a generator, else in turn.

    A row lies along the last axis: of N C H W, those of an image are drawn along H; of N L C, along L; of a table with
    two axes, along the first. So the columns of a region, the index first, stay together.
    """
    rows = tensor.ndim - 2 if tensor.ndim > 1 else 0
    shuffled = generator is not None and tensor.ndim > 0 and tensor.shape[rows] > 1
    for axis, (size, had) in enumerate(zip(shape, tensor.shape, strict=True)):
        if size != had and not (shuffled and axis == rows):
            tensor = tensor.index_select(axis, torch.arange(size, device=tensor.device) % had)
    if not shuffled:
        return tensor
    # Along H or L, other rows for each image.
    counts = [size if axis in (0, rows) else 1 for axis, size in enumerate(shape)]
    chosen = torch.randint(tensor.shape[rows], counts, generator=generator)
    return tensor.take_along_dim(chosen.to(tensor.device), rows)


def _same_tensors(one: Example, other: Example) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.tensors, other.tensors, strict=True))


def _has_nan(returned: object) -> bool:
    return any(bool(leaf.isnan().any()) for _, leaf in walk(returned) if isinstance(leaf, torch.Tensor))
