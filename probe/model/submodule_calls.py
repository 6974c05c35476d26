"""Records what a model calls its submodules with when it runs on an example."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from runtime.artifact.errors import ModelError, first_line

from .example import Example, bind_example
from .shared_copy import eval_copy, shared_copy

__all__ = ["CallShapes", "blank_calls", "record_call", "record_calls", "record_shapes"]

CallShapes = dict[str, tuple[tuple[Any, ...], dict[str, Any]]]
"""By path: what the first call with tensors alone passed, by position and by keyword, as shapes and dtypes."""


def record_call(model: nn.Module, path: str, example: Example) -> tuple[nn.Module, Example]:
    """Return the submodule at `path`, and what the model calls it with when it runs on the example.

    Raises:
        ModelError: there is no such submodule, it isn't called, or not only with tensors.
    """
    try:
        part = model.get_submodule(path)
    except AttributeError as error:
        paths = [name for name, _ in model.named_modules() if name]
        near = get_close_matches(path, paths, n=3, cutoff=0.4) or paths[:3]
        raise ModelError(f"The model has no submodule {path!r}. It has, for example: {', '.join(near)}.") from error
    calls = record_calls(eval_copy(model), example, [path])
    if path not in calls:
        raise ModelError(
            f"The submodule {path!r} is not called, or not only with tensors, when the model runs: try one inside it."
        )
    return part, calls[path]


def record_calls(model: nn.Module, example: Example, paths: list[str]) -> dict[str, Example]:
    """Return the first call of each submodule at `paths` that passes only tensors."""
    copy = shared_copy(model)
    calls: dict[str, Example] = {}

    def record(path: str) -> None:
        def note(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            given = (*args, *kwargs.values())
            if path not in calls and given and all(isinstance(value, torch.Tensor) and value.ndim for value in given):
                calls[path] = bind_example(
                    module,
                    tuple(value.clone() for value in args if isinstance(value, torch.Tensor)),
                    {name: value.clone() for name, value in kwargs.items() if isinstance(value, torch.Tensor)},
                )

        copy.get_submodule(path).register_forward_pre_hook(note, with_kwargs=True)

    for path in paths:
        record(path)
    try:
        example.run(copy)
    except Exception as error:
        if not calls:
            raise ModelError(f"{type(model).__name__} fails on its example: {first_line(error)}") from error
    return calls


@contextlib.contextmanager
def record_shapes(model: nn.Module, paths: Sequence[str], calls: CallShapes) -> Iterator[None]:
    """Add the shapes that the submodules at `paths` are called with to `calls`, also while torch.export runs it."""

    def shape_of(value: object) -> object:
        if not isinstance(value, torch.Tensor) or not value.ndim:
            return None
        # An open size is a symbol, to which reading it as an int would give one value for good.
        sizes = (size.node.hint if isinstance(size, torch.SymInt) else size for size in value.shape)
        return tuple(sizes), value.dtype

    with contextlib.ExitStack() as stack:
        for path in paths:

            def note(_: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], path: str = path) -> None:
                # The capture records calls of torch's functions, and this is none of the model's.
                with torch._C.DisableTorchFunction():
                    shapes = tuple(map(shape_of, args)), {name: shape_of(value) for name, value in kwargs.items()}
                if path not in calls and all((*shapes[0], *shapes[1].values())) and any(shapes):
                    calls[path] = shapes

            stack.callback(model.get_submodule(path).register_forward_pre_hook(note, with_kwargs=True).remove)
        yield


def blank_calls(model: nn.Module, shapes: Mapping[str, tuple[tuple[Any, ...], dict[str, Any]]]) -> dict[str, Example]:
    """Return calls with zeros of the recorded shapes."""
    calls = {}
    for path, (args, kwargs) in shapes.items():
        tensors = (torch.zeros(shape, dtype=dtype) for shape, dtype in args)
        keywords = {name: torch.zeros(shape, dtype=dtype) for name, (shape, dtype) in kwargs.items()}
        calls[path] = bind_example(model.get_submodule(path), tuple(tensors), keywords)
    return calls
