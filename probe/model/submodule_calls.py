"""Records what a model calls its submodules with when it runs on an example."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from runtime.artifact.errors import ModelError, first_line

from .example import CONSTANTS, Example, bind_example
from .shared_copy import eval_copy, shared_copy

__all__ = ["CallShapes", "blank_call", "record_call", "record_calls", "record_shapes"]

CallShapes = dict[str, tuple[tuple[Any, ...], dict[str, Any]]]
"""By path: what the first call that a probe may take passed, by position and by keyword, tensors as blanks."""


def record_call(model: nn.Module, path: str, example: Example) -> tuple[nn.Module, Example]:
    """Return the submodule at `path`, and what the model calls it with when it runs on the example.

    Raises:
        ModelError: there is no such submodule, it isn't called, or not with what a probe takes.
    """
    try:
        part = model.get_submodule(path)
    except AttributeError as error:
        paths = [name for name, _ in model.named_modules() if name]
        near = get_close_matches(path, paths, n=3, cutoff=0.4) or paths[:3]
        raise ModelError(f"The model has no submodule {path!r}. It has, for example: {', '.join(near)}.") from error
    call = record_calls(eval_copy(model), example, [path]).get(path)
    if isinstance(call, Example):
        return part, call
    why = f"can't be probed alone: {first_line(call)}" if call else "is not called when the model runs on its example."
    raise ModelError(f"The submodule {path!r} {why}\nTry one inside it.") from call


def record_calls(model: nn.Module, example: Example, paths: list[str]) -> dict[str, Example | ModelError]:
    """Return the first call of each submodule at `paths` that a probe can take; why not, if there is none."""
    copy = shared_copy(model)
    calls: dict[str, Example | ModelError] = {}

    def record(path: str) -> None:
        def note(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            if isinstance(calls.get(path), Example):
                return
            try:
                call = bind_example(module, args, kwargs)
                # The model may write to them later.
                calls[path] = call.replaced(tuple(tensor.clone() for tensor in call.tensors))
            except ModelError as error:
                calls.setdefault(path, error)

        copy.get_submodule(path).register_forward_pre_hook(note, with_kwargs=True)

    for path in paths:
        record(path)
    try:
        example.run(copy)
    except Exception as error:
        if not calls:
            raise ModelError(f"{type(model).__name__} fails on its example: {first_line(error)}") from error
    return calls


@dataclass(frozen=True)
class _Blank:
    """Stands for a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype


@contextlib.contextmanager
def record_shapes(model: nn.Module, paths: Sequence[str], calls: CallShapes) -> Iterator[None]:
    """Add what the submodules at `paths` are called with to `calls`, also while torch.export runs the model."""
    with contextlib.ExitStack() as stack:
        for path in paths:

            def note(_: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], path: str = path) -> None:
                # The capture records calls of torch's functions, and this is none of the model's.
                with torch._C.DisableTorchFunction():
                    call = pytree.tree_map(_without_values, (args, kwargs))
                leaves = pytree.tree_leaves(call)
                others = [leaf for leaf in leaves if not isinstance(leaf, _Blank)]
                if len(others) < len(leaves) and all(isinstance(leaf, CONSTANTS) for leaf in others):
                    calls.setdefault(path, call)

            stack.callback(model.get_submodule(path).register_forward_pre_hook(note, with_kwargs=True).remove)
        yield


def blank_call(model: nn.Module, calls: CallShapes, path: str) -> Example:
    """Return the recorded call of the submodule at `path`, with zeros in its tensors.

    Raises:
        ModelError: a probe can't take it.
    """
    args, kwargs = pytree.tree_map(
        lambda leaf: torch.zeros(leaf.shape, dtype=leaf.dtype) if isinstance(leaf, _Blank) else leaf, calls[path]
    )
    return bind_example(model.get_submodule(path), args, kwargs)


def _without_values(value: object) -> object:
    """Return a blank for a tensor, and the number that an open size has in the example; else the value itself."""
    if isinstance(value, torch.SymInt):
        # Reading it as an int would give it one value for good; a size that depends on values has none.
        return value if value.node.hint is None else value.node.hint
    if not isinstance(value, torch.Tensor):
        return value
    sizes: tuple[Any, ...] = tuple(map(_without_values, value.shape))
    return _Blank(sizes, value.dtype) if all(isinstance(size, int) for size in sizes) else value
