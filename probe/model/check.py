"""Unwraps a model, and refuses what can't be probed before anything is run."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from runtime.artifact.errors import ModelError

__all__ = ["check_dense", "checked_model"]


def checked_model(model: nn.Module) -> nn.Module:
    """Return `model`, or the one inside if `nn.DataParallel` or `torch.compile` wrapped it.

    Raises:
        ModelError: it is a ScriptModule, was not initialised, or has no weights yet.
    """
    if "_modules" not in vars(model) and not isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"{type(model).__name__} was not initialised: its __init__ must begin with super().__init__()."
        )
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return checked_model(model.module)
    if type(model).__name__ == "OptimizedModule" and isinstance(getattr(model, "_orig_mod", None), nn.Module):
        return checked_model(model._orig_mod)  # type: ignore[arg-type]
    name = type(model).__name__
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(f"{name} is already TorchScript, which can't be traced.\nPass the model it was made from.")
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise ModelError(
                f"{name}'s {path} has no shape yet: it belongs to a lazy module.\nRun the model once in the factory."
            )
        if tensor.is_meta:
            raise ModelError(f"{name}'s {path} has no values: it is on the meta device.\nCreate the model on the CPU.")
    return model


def check_dense(model: nn.Module, tensors: Iterable[torch.Tensor]) -> None:
    """Refuse an example that the model can't be run and compared on.

    Raises:
        ModelError: a tensor is sparse or has no values.
    """
    for tensor in tensors:
        if tensor.layout is not torch.strided or tensor.is_meta:
            what = "on the meta device, without values" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
            raise ModelError(f"{type(model).__name__}'s example has a tensor that is {what}: pass dense tensors.")
