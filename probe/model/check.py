"""What is probed of what was given: a wrapped model's inside; and what can't be, told before anything is run."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from runtime.artifact.errors import ModelError

__all__ = ["check_dense", "checked_model"]


def checked_model(model: nn.Module) -> nn.Module:
    """Return `model`, or what `nn.DataParallel` and `torch.compile` wrapped.

    Raises:
        ModelError: it is a ScriptModule, was not initialised, or has no weights yet.
    """
    if "_modules" not in vars(model) and not isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"{type(model).__name__} was not initialised: its __init__ has to begin with super().__init__()."
        )
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return checked_model(model.module)
    if type(model).__name__ == "OptimizedModule" and isinstance(getattr(model, "_orig_mod", None), nn.Module):
        return checked_model(model._orig_mod)  # type: ignore[arg-type]
    name = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(f"{name} is TorchScript already, which can't be traced.\nGive the model that it was made of.")
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise ModelError(
                f"{name}'s {path} has no shape yet: it is a lazy module's.\nRun the model once before, in the factory."
            )
        if tensor.is_meta:
            raise ModelError(f"{name}'s {path} has no values: it is on the meta device.\nMake the model on the CPU.")
    return model


def check_dense(model: nn.Module, tensors: Iterable[torch.Tensor]) -> None:
    """Refuse an example that the model can't be run and compared on.

    Raises:
        ModelError: a tensor is sparse, or without values.
    """
    for tensor in tensors:
        if tensor.layout is not torch.strided or tensor.is_meta:
            what = "on the meta device, without values" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
            raise ModelError(f"{type(model).__name__}'s example holds a tensor that is {what}: give dense ones.")
