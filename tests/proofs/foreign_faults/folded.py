"""What a tool may misread of a module before it folds it away: planted into the module, and taken out again."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["MODULE_FAULTS", "misread"]

MODULE_FAULTS: Mapping[str, Callable[[nn.BatchNorm2d], None]] = {
    "epsilon of a batch norm before it is folded": lambda norm: setattr(norm, "eps", norm.eps * 100 + 1e-3),
    "variance of a batch norm taken for its standard deviation": lambda norm: _variance(norm).pow_(2),
    "mean of a batch norm left out": lambda norm: _mean(norm).zero_(),
}
"""By name, what is changed in a batch norm."""


def _variance(norm: nn.BatchNorm2d) -> torch.Tensor:
    assert norm.running_var is not None
    return norm.running_var


def _mean(norm: nn.BatchNorm2d) -> torch.Tensor:
    assert norm.running_mean is not None
    return norm.running_mean


@contextmanager
def misread(module: nn.Module, kind: str, seed: int) -> Iterator[str | None]:
    """Change one batch norm of a module, drawn by the seed, and yield its path; None if the module has none."""
    norms = {path: each for path, each in module.named_modules() if isinstance(each, nn.BatchNorm2d)}
    if not norms:
        yield None
        return
    path = sorted(norms)[torch.randint(len(norms), (), generator=torch.Generator().manual_seed(seed)).item()]
    norm = norms[path]
    before, eps = {name: tensor.clone() for name, tensor in norm.state_dict().items()}, norm.eps
    try:
        with torch.no_grad():
            MODULE_FAULTS[kind](norm)
        yield path
    finally:
        norm.load_state_dict(before)
        norm.eps = eps
