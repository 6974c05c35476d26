"""What an entry of the collection is: a small model, as a class or a function that makes it, and its example."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

__all__ = ["SmallModel", "noise", "small", "small_models", "whole"]


@dataclass(frozen=True)
class SmallModel:
    """An entry. `make` returns the model with fresh weights; its docstring says what is special about it."""

    make: Callable[[], nn.Module]
    example: tuple[torch.Tensor, ...]

    @property
    def name(self) -> str:
        return f"{self.make.__module__.rpartition('.')[2]}:{self.make.__name__}"

    @property
    def about(self) -> str:
        return (self.make.__doc__ or "").strip().splitlines()[0]


_ENTRIES: list[SmallModel] = []


def small(*example: torch.Tensor) -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    """Enter a class or a function that makes a model, with what the model is called with."""

    def enter(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        _ENTRIES.append(SmallModel(make, example))
        return make

    return enter


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return standard normal noise, the same for the same shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def whole(below: int, *shape: int) -> torch.Tensor:
    """Return integers from 0 to `below` - 1, the same for the same shape."""
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(0))


def small_models() -> dict[str, SmallModel]:
    """Return the whole collection by name, kind by kind."""
    for file in sorted(Path(__file__).parent.glob("*.py")):
        import_module(f"{__package__}.{file.stem}")
    return {entry.name: entry for entry in sorted(_ENTRIES, key=lambda entry: entry.make.__module__)}
