"""A copy of a model that shares its weights in memory; nothing done to the copy affects the model."""

import copy

import torch
from torch import nn

from runtime.artifact.errors import ModelError, first_line

__all__ = ["memory_of", "shared_copy"]


def shared_copy(model: nn.Module) -> nn.Module:
    """Return a copy of `model` in eval mode: its own modules, flags, hooks and buffers, but the same weights in memory.

    The copy has its own `Parameter` objects over the model's storage: training the model further changes the copy, too,
    while `copy.double()`, `copy.cuda()` or `copy.train()` leave the model alone. All other tensors, which a forward may
    write to, are copied; compared with the weights they are small.

    Raises:
        ModelError: the model holds something that can't be copied (an open file, a lock).
    """
    # deepcopy treats what its memo already holds as copied: so the weights stay where they are, while everything else
    # that refers to the modules (bound methods, lists, partials) ends up referring to the copies.
    memo: dict[int, object] = {}
    try:
        for parameter in model.parameters():
            memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
        weights = set(map(memory_of, model.parameters()))
        for module in model.modules():
            for value in vars(module).values():
                if not isinstance(value, torch.Tensor):
                    continue
                if memory_of(value) in weights:
                    memo.setdefault(id(value), value.detach())
                elif not value.is_leaf:
                    # It was computed and stored on the module (old-style weight norm): torch refuses to deepcopy it.
                    memo.setdefault(id(value), value.detach().clone())
        return copy.deepcopy(model, memo).eval()
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} can't be copied ({type(error).__name__}: {first_line(error)}).\n"
            "A probe needs a copy to leave your model unchanged: remove the part that can't be copied first."
        ) from error


def memory_of(tensor: torch.Tensor) -> int:
    """Return a number that is the same for all living tensors over one storage, and different for all others."""
    # Sparse tensors have several storages, which torch doesn't expose.
    return int(tensor.untyped_storage()._cdata) if tensor.layout is torch.strided else id(tensor)
