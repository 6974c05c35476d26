"""MODEL with --seed, --input-size, --weights and --submodule -> the model: what every command does first."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
) -> LoadedModel:
    """Return a model, or the part of it at `submodule`, with the weights in a file; the rest is as of `load_model`.

    Raises:
        LayerprobeError: there is no such model or part, or the weights don't fit.
    """
    loaded = load_model(model, seed, input_size, default_size)
    taken = load_weights(loaded.module, Path(weights), loaded.name) if weights else []
    if submodule:
        loaded = loaded.submodule(submodule)
    return replace(loaded, notes=(f"{weights}: the weights are read {', '.join(taken)}",)) if taken else loaded
