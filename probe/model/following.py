"""Keeps a captured graph on the user's weights and buffers: over the same memory, also where one of them was replaced.

A capture runs on copies of the buffers, since a forward may write to them. Those that the graph was seen to leave alone
can be shared; what it writes to remains its own, so that a probe never changes the model.
"""

import warnings
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from .shared_copy import over_memory

__all__ = ["Following", "StaleProbeWarning"]


class StaleProbeWarning(UserWarning):
    """A probe computes with weights that its model no longer has."""


class _Link(NamedTuple):
    mine: torch.Tensor
    """The graph's tensor."""
    kind: tuple[object, ...]
    """Its shape, dtype and device when the graph was captured."""
    version: int
    """How often it had been written to then."""
    path: str
    """Of the module that holds the user's tensor."""
    owner: weakref.ref[nn.Module]
    name: str

    def theirs(self, module_at: Callable[[str], nn.Module]) -> torch.Tensor | None:
        """Return the tensor of the model, whose `get_submodule` is given, as it is now.

        None if its module was replaced, or it is of another kind.
        """
        owner = self.owner()
        try:
            found = getattr(owner, self.name) if owner and module_at(self.path) is owner else None
        except AttributeError:
            return None
        alike = isinstance(found, torch.Tensor) and _is_plain(found) and _kind(found) == self.kind
        return found if alike else None


class Following:
    """Which of a graph's tensors are which of the model's; by default none, so that it follows nothing."""

    def __init__(
        self, model: nn.Module | None = None, copy: nn.Module | None = None, captured: nn.Module | None = None
    ):
        """Find the tensors of `captured`, before it runs, in the copy of `model` that it was captured from."""
        self._model = weakref.ref(model) if model is not None else None
        self._found: tuple[_Link, ...] = ()
        self._links: tuple[_Link, ...] = ()
        """Those that are shared: none before the graph is known to leave them alone."""
        self._told = False
        if model is not None and copy is not None and captured is not None:
            self._found = tuple(_links(model, copy, captured))

    def share(self) -> None:
        """Put the graph's tensors over the model's memory, after it ran: not those that it wrote to, nor what the
        model's own eval() changed in the copy.
        """
        model = self._model() if self._model else None
        if model is None:
            return
        shared, module_at = [], cache(model.get_submodule)
        for link in self._found:
            theirs = link.theirs(module_at)
            if theirs is None or link.mine._version != link.version:
                continue
            if _over_the_same(link.mine, theirs) or _equal(link.mine, theirs):
                _put(link.mine, theirs)
                shared.append(link)
        self._links = tuple(shared)

    def update(self) -> None:
        """Follow the model to tensors that replaced its own; warn, once, where it can't be followed."""
        model = self._model() if self._model else None
        if model is None:
            return
        module_at = cache(model.get_submodule)
        for link in self._links:
            if _kind(link.mine) != link.kind:  # probe.module.double()
                continue
            theirs = link.theirs(module_at)
            if theirs is not None:
                _put(link.mine, theirs)
            elif not self._told:
                self._told = True
                path = f"{link.path}.{link.name}".lstrip(".")
                warnings.warn(
                    f"{type(model).__name__}'s {path} was replaced since its probe was built, by another type, size or "
                    "device: the probe computes with the earlier values.\nBuild the probe again, or, to keep the "
                    "earlier weights on purpose, build it of copy.deepcopy(model).",
                    StaleProbeWarning,
                    stacklevel=3,
                )


def _links(model: nn.Module, copy: nn.Module, captured: nn.Module) -> Iterator[_Link]:
    held: dict[object, tuple[str, nn.Module, str]] = {}
    twins = dict(copy.named_modules())
    for path, module in model.named_modules():
        mine = _held(twins.get(path))
        for name in _held(module):
            if name in mine:
                held.setdefault(_place(mine[name]), (path, module, name))
    seen = set()
    for part in captured.modules():
        for tensor in _held(part).values():
            if id(tensor) not in seen and _place(tensor) in held:
                seen.add(id(tensor))
                path, owner, name = held[_place(tensor)]
                yield _Link(tensor, _kind(tensor), tensor._version, path, weakref.ref(owner), name)


def _held(module: nn.Module | None) -> dict[str, torch.Tensor]:
    """Return the dense tensors that a module itself holds: parameters, buffers, and others that no operation made."""
    if module is None:
        return {}
    named = {**vars(module), **module._parameters, **module._buffers}
    return {name: each for name, each in named.items() if isinstance(each, torch.Tensor) and _is_plain(each)}


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.is_leaf and tensor.layout is torch.strided and not tensor.is_quantized


def _kind(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.shape, tensor.dtype, tensor.device


def _place(tensor: torch.Tensor) -> tuple[object, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _over_the_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.stride() == other.stride()


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    # Bit for bit, in which NaN equals itself.
    some, others = (each.detach().contiguous().view(-1).view(torch.uint8) for each in (one, other))
    return torch.equal(some, others)


def _put(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    if not _over_the_same(mine, theirs):
        mine.data = over_memory(theirs)
