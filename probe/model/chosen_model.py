"""MODEL with --seed, --input-size, --weights and --submodule -> the model: what every command does first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from .loading import LoadedModel, load_model
from .weights import load_weights

__all__ = ["load_chosen"]


def load_chosen(
    model: str,
    *,
    seed: int = 0,
    input_size: Sequence[int] = (),
    default_size: Sequence[int] = (),
    weights: str | Path | None = None,
    submodule: str | None = None,
    example: Sequence[torch.Tensor] | Mapping[str, torch.Tensor] = (),
) -> LoadedModel:
    """Return a model, or the part of it at `submodule`, with the weights in a file; the rest is as of `load_model`.

    `example` is what it is called with, in order or by keyword, where neither the model nor `input_size` says that.

    Raises:
        LayerprobeError: there is no such model or part, or the weights don't fit.
    """
    loaded = load_model(model, seed, input_size, default_size)
    if example and loaded.assumed_size:
        loaded = loaded.called_with(example)
    taken = load_weights(loaded.module, Path(weights), loaded.name) if weights else []
    if submodule:
        loaded = loaded.submodule(submodule)
    return replace(loaded, notes=(f"{weights}: the weights are read {', '.join(taken)}",)) if taken else loaded
