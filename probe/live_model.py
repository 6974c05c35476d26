"""A PyTorch model, by its name or in memory, captured for one input: for a picture of it, without an export.

Plain data goes in and comes out, so that `runtime`, which opens this by its name, loads PyTorch only then.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from runtime.artifact.errors import UsageError
from runtime.artifact.manifest import Input, Manifest, Preprocessing, Recipe

from .build import Capture, probe_of_call
from .descriptions import dtype_name
from .manifest_making import manifest_of
from .model.check import checked_model
from .model.chosen_model import load_chosen
from .model.loading import loaded_module
from .model.photo_preprocessing import preprocessing_of
from .probe import Probe

__all__ = ["Captured", "LiveModel", "open_live"]


class Captured(NamedTuple):
    """A model's tensors for inputs of one size."""

    manifest: Manifest
    """What it takes and returns, of an artifact that has no files."""
    only: Callable[[Sequence[str]], Callable[..., Mapping[str, torch.Tensor]]]
    """Returns what computes some of the outputs, by name, from the inputs in their order."""
    sources: Callable[[str], set[str]]
    """Returns the outputs that an output is computed from."""
    device: str
    notes: tuple[str, ...]
    """What is worth knowing of the weights and of the capture."""


@dataclass(frozen=True)
class LiveModel:
    """A model that is not captured yet, or a probe."""

    name: str
    inputs: tuple[Input, ...]
    """As the example has them: the model may take other sizes."""
    preprocessing: Preprocessing | None
    """How a photo becomes the input; None if the model takes none."""
    example: tuple[torch.Tensor, ...]
    capture: Callable[[tuple[torch.Tensor, ...]], Probe]
    recipe: Recipe | None = None
    notes: tuple[str, ...] = ()

    def captured(self, arrays: Mapping[str, NDArray[Any]]) -> Captured:
        """Capture the model for these inputs, by name, on which it is compared with its graph.

        Raises:
            ModelError: it can't be captured, or fails on them.
        """
        given = tuple(
            torch.from_numpy(np.array(arrays[entry.name])).to(like.device, like.dtype)
            for entry, like in zip(self.inputs, self.example, strict=True)
        )
        probe = self.capture(given)
        manifest = manifest_of(probe, self.name, self.preprocessing, 0, torch.__version__, recipe=self.recipe)
        return Captured(
            manifest,
            lambda names: probe.only(names).module,
            probe.sources,
            str(given[0].device),
            self.notes + probe.notes,
        )


def open_live(
    model: str | nn.Module | Probe,
    *,
    example: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    input_size: Sequence[int] = (),
    weights: str | Path | None = None,
    seed: int = 0,
    submodule: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    capture: Capture = "auto",
    leaf: Sequence[str | type[nn.Module]] = (),
) -> LiveModel:
    """Return a model that can be drawn.

    Args:
        model: its name, as `load_model` takes it; a module, which stays untouched; or its probe.
        example: what a module of several inputs is called with, by name: arrays or tensors.
        preprocessing: how a photo becomes the input; by default as `layerprobe export` chooses it, which for a module
            is ImageNet's, in the size that the module itself says, or 224 x 224.
        input_size: height and width of the photo, or channels, height and width.
        weights: a file with its weights.
        seed: of fresh weights, for a name.
        submodule: the path of a part, which is drawn alone.
        mean: per channel, in place of the preprocessing's.
        std: likewise.
        capture: as of `build_probe`.
        leaf: likewise, its `leaf_modules`.

    Raises:
        LayerprobeError: there is no such model, or what is chosen doesn't fit it.
    """
    if isinstance(model, Probe):
        return _live_probe(model, preprocessing)
    size = preprocessing.crop if preprocessing else ()
    recipe = None
    if isinstance(model, str):
        loaded = load_chosen(
            model, seed=seed, input_size=input_size, default_size=size, weights=weights, submodule=submodule
        )
        recipe = Recipe(model=model, seed=seed, weights_file=weights is not None, submodule=submodule)
    elif isinstance(model, nn.Module):
        module = checked_model(model)
        loaded = loaded_module(type(module).__name__, module, input_size or size)
        if example and len(example) > 1:
            loaded = loaded.called_with({name: _as_tensor(each, loaded.example[0]) for name, each in example.items()})
        if weights or submodule:
            raise UsageError("A module has its weights and its parts: weights= and submodule= are for a model's name.")
    else:
        kind = type(model).__name__
        raise UsageError(
            f"A {kind} can't be drawn: give a module, a probe, an artifact or its path, or a model's name."
        )
    call = loaded.call

    def capture_for(given: tuple[torch.Tensor, ...]) -> Probe:
        # A tensor of another size than was assumed is the user's own.
        assumed = [each.shape for each in given] == [each.shape for each in call.tensors]
        with loaded.telling_size() if assumed else nullcontext():
            return probe_of_call(loaded.module, call.replaced(given), capture, leaf)

    return LiveModel(
        loaded.name,
        tuple(map(_input, call.names, call.tensors)),
        preprocessing or preprocessing_of(loaded, mean, std),
        call.tensors,
        capture_for,
        recipe,
        loaded.notes,
    )


def _live_probe(probe: Probe, preprocessing: Preprocessing | None) -> LiveModel:
    first = probe.example[0]
    if preprocessing is None and len(probe.example) == 1 and first.ndim == 4 and first.is_floating_point():
        like_image = loaded_module(probe.model_name, probe.module, tuple(first.shape[1:]))
        preprocessing = preprocessing_of(like_image)
    return LiveModel(probe.model_name, probe.inputs, preprocessing, probe.example, lambda _: probe)


def _as_tensor(given: Any, like: torch.Tensor) -> torch.Tensor:
    """Return an array or a tensor on the model's device, floats in its dtype."""
    tensor = torch.as_tensor(given)
    return tensor.to(like.device, like.dtype if tensor.is_floating_point() else None)


def _input(name: str, tensor: torch.Tensor) -> Input:
    return Input(name=name, shape=tuple(tensor.shape), dtype=dtype_name(tensor.dtype))
