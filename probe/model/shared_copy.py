"""Copies of a model that share the memory of its weights, so that nothing done to a copy shows on the model."""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from runtime.artifact.errors import ModelError, first_line

from .kept_functions import rebind_functions

__all__ = ["deep_copy", "eval_copy", "memory_of", "over_memory", "shared_copy"]

_Module = TypeVar("_Module", bound=nn.Module)


def eval_copy(model: nn.Module) -> nn.Module:
    """Return a copy of `model` after its own `eval()`, over the same weights in memory where that didn't change them.

    A module may do anything as it leaves training: merge a low-rank update into its weights, fold its branches, count.
    So a model with a `train` or `eval` of its own runs it on true copies of all weights; those that it didn't write to
    then share the model's memory again.

    Raises:
        ModelError: the model holds something that can't be copied (an open file, a lock), or its `eval()` fails.
    """
    if not any(map(_switches_by_itself, model.modules())):
        return shared_copy(model).eval()
    own = {each: nn.Parameter(each.detach().clone(), requires_grad=each.requires_grad) for each in model.parameters()}
    copied = _copied(model, own)
    try:
        copied.eval()
    except Exception as error:
        raise ModelError(f"{type(model).__name__}.eval() fails: {type(error).__name__}: {first_line(error)}") from error
    for parameter, mine in own.items():
        if mine.shape == parameter.shape and mine.dtype == parameter.dtype and torch.equal(mine, parameter):
            mine.data = parameter.detach()
    return copied


def shared_copy(model: nn.Module) -> nn.Module:
    """Return a copy of `model`: own modules, flags, hooks and buffers, but the same weights in memory.

    The copy has its own `Parameter` objects over the model's storage: training the model further shows in the copy,
    while `copy.double()` or `copy.cuda()` leave the model alone. All other tensors, which a forward may write to, are
    copied; next to the weights they are small.

    Raises:
        ModelError: the model holds something that can't be copied (an open file, a lock).
    """
    shared = {each: nn.Parameter(over_memory(each), requires_grad=each.requires_grad) for each in model.parameters()}
    return _copied(model, shared)


def deep_copy(module: _Module, memo: dict[int, Any] | None = None) -> _Module:
    """Return a copy that shares nothing, also where a function kept on a module refers to another.

    With deepcopy's `memo`, it shares the parts that were copied before.
    """
    memo = {} if memo is None else memo
    copied = copy.deepcopy(module, memo)
    rebind_functions(copied, memo)
    return copied


def _copied(model: nn.Module, weights: Mapping[nn.Parameter, nn.Parameter]) -> nn.Module:
    """Return a deep copy of a model with these parameters in place of its own."""
    # deepcopy takes what its memo already holds as copied: that is how the weights stay where they are, while
    # everything else that refers to the modules (bound methods, lists, partials) ends up referring to the copies.
    memo: dict[int, object] = {id(parameter): copied for parameter, copied in weights.items()}
    copied_memory = {memory_of(parameter): copied for parameter, copied in weights.items()}
    try:
        twins = [(module, object.__new__(type(module))) for module in model.modules() if _copies_by_itself(module)]
        memo |= {id(module): twin for module, twin in twins}
        for module in model.modules():
            for value in vars(module).values():
                if not isinstance(value, torch.Tensor):
                    continue
                if memory_of(value) in copied_memory:
                    within = copied_memory[memory_of(value)].detach()
                    memo.setdefault(id(value), _as_view(value, within))
                elif not value.is_leaf:
                    # It was computed and stored on the module (old-style weight norm): torch refuses to deepcopy it.
                    memo.setdefault(id(value), value.detach().clone())
        for module, twin in twins:
            vars(twin).update(copy.deepcopy(vars(module), memo))
        copied = copy.deepcopy(model, memo)
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} can't be copied ({type(error).__name__}: {first_line(error)}).\n"
            "A probe needs a copy to leave your model unchanged: remove the part that can't be copied first."
        ) from error
    rebind_functions(copied, memo)
    return copied


def over_memory(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor over the same memory that needs no gradient; of one made in inference mode, an ordinary one."""
    if not tensor.is_inference():
        return tensor.detach()
    with torch.inference_mode(False):
        empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        return empty.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride())


def _as_view(value: torch.Tensor, within: torch.Tensor) -> torch.Tensor:
    """Return the view of the storage of `within` that `value` is of its own storage."""
    storage = within.untyped_storage()
    return within.new_empty(0, dtype=value.dtype).set_(storage, value.storage_offset(), value.shape, value.stride())


_SWITCHES = ("train", "eval", "training", "__setattr__")
"""What a module overrides if something of its own happens as it is put into eval mode."""


def _switches_by_itself(module: nn.Module) -> bool:
    kind = type(module)
    own = (name in vars(module) for name in ("train", "eval"))
    return any(getattr(kind, name, None) is not getattr(nn.Module, name, None) for name in _SWITCHES) or any(own)


def _copies_by_itself(module: nn.Module) -> bool:
    """Return whether a module has a `__deepcopy__` of its own, which may return the module itself."""
    kind = type(module)
    return hasattr(kind, "__deepcopy__") and not kind.__deepcopy__.__module__.startswith("torch.")


def memory_of(tensor: torch.Tensor) -> int:
    """Return a number that is the same for all living tensors over one storage, and different for all others."""
    # Sparse tensors have several storages, which torch doesn't expose.
    return int(tensor.untyped_storage()._cdata) if tensor.layout is torch.strided else id(tensor)
