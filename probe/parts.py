"""Finds parts of a model that can be probed if the whole can't."""

import contextlib
from collections.abc import Callable, Container, Iterable

import torch
from torch import nn

from runtime.artifact.errors import CaptureError, ModelError

from .capture.fx_trace import trace
from .capture.torch_export import export_capture
from .model.example import Example
from .model.leaf_modules import LeafTest
from .model.shared_copy import shared_copy
from .model.weight_guard import weights_guarded
from .observe.observation import observe, observe_shapes

__all__ = ["find_parts", "is_within", "possible_parts"]

_WANTED, _TRIED = 3, 8
"""How many parts are suggested, and how many are tried at most: each takes a capture."""


def possible_parts(model: nn.Module) -> list[str]:
    """Return the paths of the submodules that have parts themselves."""
    return [
        path
        for path, part in model.named_modules()
        if path and any(True for _ in part.children()) and not isinstance(part, torch.jit.ScriptModule)
    ]


def find_parts(
    model: nn.Module, known: Container[str], call_of: Callable[[str], Example], is_leaf: LeafTest
) -> list[str]:
    """Return paths of up to three submodules that can be captured, outermost and largest first, none inside another.

    Args:
        model: the whole.
        known: the paths of the submodules whose call is known.
        call_of: what the one at a path is called with; ModelError if a probe can't take that. It is asked of those that
            are tried only: the tensors of all calls of a detection model take gigabytes.
        is_leaf: which modules stay whole.
    """
    sizes = {
        path: sum(parameter.numel() for parameter in model.get_submodule(path).parameters())
        for path in possible_parts(model)
        if path in known
    }
    found: list[str] = []
    tried = 0
    for path in sorted(sizes, key=lambda path: (path.count("."), -sizes[path])):
        if tried == _TRIED or len(found) == _WANTED:
            break
        if is_within(path, found):
            continue
        with contextlib.suppress(ModelError):
            call = call_of(path)
            tried += 1
            if _can_be_captured(model.get_submodule(path), call, is_leaf):
                found.append(path)
    return found


def is_within(path: str, outer: Iterable[str]) -> bool:
    """Return whether the submodule at `path` is one of `outer`, or inside one of them."""
    return any(f"{path}.".startswith(f"{each}.") for each in outer)


def _can_be_captured(part: nn.Module, call: Example, is_leaf: LeafTest) -> bool:
    for capture in (trace, export_capture):
        try:
            traced = capture(shared_copy(part), call, is_leaf=is_leaf)
            # Without computing, if possible: the parts of a detection model take seconds.
            if isinstance(observe_shapes(traced, call), Exception):
                with weights_guarded(traced.module):
                    observe(traced, call)
        except (CaptureError, ModelError):
            continue
        return True
    return False
