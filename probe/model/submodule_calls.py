"""Records what a model calls its submodules with when it runs on an example."""

from difflib import get_close_matches

import torch
from torch import nn

from runtime.artifact.errors import ModelError, first_line

from .example import Example, bind_example
from .shared_copy import eval_copy, shared_copy

__all__ = ["record_call", "record_calls"]


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
