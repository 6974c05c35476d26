"""A copy of a model that shares the memory of its weights, so that nothing done to the copy shows on the model."""

import copy

import torch
from torch import nn

from runtime.artifact.errors import ModelError, first_line

__all__ = ["memory_of", "shared_copy"]


def shared_copy(model: nn.Module) -> nn.Module:
    """Return a copy of `model` in eval mode: own modules, flags, hooks and buffers, but the same weights in memory.

    The copy has its own `Parameter` objects over the model's storage: training the model further shows in the copy,
    while `copy.double()`, `copy.cuda()` or `copy.train()` leave the model alone. All other tensors, which a forward may
    write to, are copied; next to the weights they are small.

    Raises:
        ModelError: the model holds something that can't be copied (an open file, a lock).
    """
    # deepcopy takes what its memo already holds as copied: that is how the weights stay where they are, while
    # everything else that refers to the modules (bound methods, lists, partials) ends up referring to the copies.
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
            "A probe needs a copy so that your model stays as it is: take the part that can't be copied off first."
        ) from error


def memory_of(tensor: torch.Tensor) -> int:
    """Return a number that is the same for all living tensors over one storage, and for no other."""
    # Sparse tensors have several storages, which torch doesn't tell.
    return int(tensor.untyped_storage()._cdata) if tensor.layout is torch.strided else id(tensor)
