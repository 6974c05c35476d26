"""Records what a model calls its submodules with when it runs on an example."""

from difflib import get_close_matches

from torch import nn

from runtime.artifact.errors import ModelError, first_line

from .example import Example, bind_example
from .shared_copy import eval_copy, shared_copy

__all__ = ["record_call", "record_calls"]


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
