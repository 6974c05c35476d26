"""Parts of a model that can be probed where the whole can't, and what they are called with."""

import torch
from torch import nn

from .errors import CaptureError, ModelError, first_line
from .example import Example, bind_example
from .exporting import export_capture
from .observation import observe
from .shared_copy import shared_copy
from .tracing import trace

__all__ = ["find_parts", "record_call"]

_WANTED, _TRIED = 3, 8
"""How many parts are named, and how many are tried for that: each takes a capture."""


def find_parts(model: nn.Module, example: Example) -> list[str]:
    """Return the paths of up to three submodules that can be captured, outermost and largest first, none in another."""
    candidates = {
        path: sum(parameter.numel() for parameter in part.parameters())
        for path, part in model.named_modules()
        if path and any(True for _ in part.children()) and not isinstance(part, torch.jit.ScriptModule)
    }
    calls = _record_calls(model, example, list(candidates))
    found: list[str] = []
    tried = 0
    for path in sorted(calls, key=lambda path: (path.count("."), -candidates[path])):
        if tried == _TRIED or len(found) == _WANTED:
            break
        if not any(path.startswith(f"{outer}.") for outer in found):
            tried += 1
            if _can_be_captured(model.get_submodule(path), calls[path]):
                found.append(path)
    return found


def record_call(model: nn.Module, path: str, example: Example) -> tuple[nn.Module, Example]:
    """Return the submodule at `path`, and what the model calls it with when it is run on the example.

    Raises:
        ModelError: there is no such submodule, it isn't called, or with something else than tensors.
    """
    try:
        part = model.get_submodule(path)
    except AttributeError as error:
        from difflib import get_close_matches

        paths = [name for name, _ in model.named_modules() if name]
        near = get_close_matches(path, paths, n=3, cutoff=0.4) or paths[:3]
        raise ModelError(f"The model has no submodule {path!r}. It has, for example: {', '.join(near)}.") from error
    calls = _record_calls(model, example, [path])
    if path not in calls:
        raise ModelError(
            f"The submodule {path!r} is not called with tensors alone when the model runs: probe one inside it."
        )
    return part, calls[path]


def _record_calls(model: nn.Module, example: Example, paths: list[str]) -> dict[str, Example]:
    """Return what the submodules at `paths` are called with first, where that is tensors alone."""
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


def _can_be_captured(part: nn.Module, call: Example) -> bool:
    for capture in (trace, export_capture):
        try:
            observe(capture(shared_copy(part), call), call)
        except (CaptureError, ModelError):
            continue
        return True
    return False
