"""Runs a live model in eager PyTorch, arrays in, every output by name out: an artifact's own, or one in memory.

The first needs the model's Python source. Another package builds the model, and is imported only here, so that the rest
of `runtime` works without it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from ..artifact.by_name import load
from ..artifact.errors import InputError, LayerprobeError, RunnerUnavailable, first_line
from ..artifact.folder import Artifact
from ..artifact.manifest import Manifest, Recipe, is_library_model
from ..artifact.tensors import as_array
from .base import Runner
from .settings import Settings
from .torch_file import as_tensors, torch_facts, torch_set

__all__ = ["EagerRunner", "LiveRunner"]

_PROBE = "probe.live_probe:LiveProbe"

Compute = Callable[..., Mapping[str, torch.Tensor]]
"""Tensors, in the order of the model's inputs -> outputs by name."""


class _InPyTorch(Runner):
    runtime = "PyTorch"
    _live: Compute
    """Set by `_open`."""

    def _compute(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        with torch_set(self.settings):
            found = self._live(*as_tensors(self.manifest, inputs, self.target))
        return {name: as_array(found[name]) for name in self.names}


class LiveRunner(_InPyTorch):
    """A model in memory, described by an artifact without files."""

    def __init__(
        self,
        artifact: Artifact,
        only: Callable[[Sequence[str]], Compute],
        sources: Callable[[str], set[str]],
        device: str,
        outputs: Sequence[str] | None,
    ) -> None:
        """Take what returns the computation of some outputs, what returns those that one is computed from, and the
        device that the model is on.

        Raises:
            UsageError: one of `outputs` is not an output of the model.
        """
        self._only, self._sources = only, sources
        super().__init__(artifact, "eager", device, outputs=outputs)

    def _open(self, artifact: Artifact) -> None:  # noqa: ARG002
        self._live = self._only(self.names)

    def sources(self, name: str) -> set[str]:
        """Return the outputs that an output is computed from."""
        return self._sources(name)


class EagerRunner(_InPyTorch):
    """The probe of an artifact's live model, on the CPU; the model itself, unprobed, where only its results are
    requested.

    `settings` choose the model and its weights, where the manifest doesn't.
    """

    def _open(self, artifact: Artifact) -> None:
        """Build the model, and compare its weights with those that were exported.

        Raises:
            RunnerUnavailable: the manifest's model can't be built here, or isn't the one that was exported.
            InputError: the model in the settings isn't the one that was exported.
        """
        settings = self.settings
        model = settings.model or _model_of(self.manifest)
        try:
            live = _make(model, artifact, settings, self.names)
        except LayerprobeError as error:
            if settings.model:
                raise
            raise RunnerUnavailable(
                f"{self.name} can't build {model}: {first_line(error)}\nName the model with --model, as for "
                "`layerprobe export`."
            ) from error
        expected = self.manifest.weights
        if expected is not None and live.digest != expected:
            kind = InputError if settings.model else RunnerUnavailable
            raise kind(
                f"{model} as built here has other weights than the artifact, and would drift for that alone.\n"
                "Give the exported weights: --weights F, or --seed N for fresh ones."
            )
        missing = [name for name in self.names if name not in live.names]
        if missing:
            raise InputError(f"{model} has no output {missing[0]!r}: it isn't the model that was exported.")
        self._live = live
        self.facts = torch_facts(settings, "cpu")
        self.facts |= {"execution_mode": "eager", "model": model, "weights_compared": expected is not None}


def _model_of(manifest: Manifest) -> str:
    """Return the model that the manifest names, if it may be built without a request from the user.

    Raises:
        RunnerUnavailable: it names none, or one whose code only the user may choose to run.
    """
    recipe = manifest.recipe
    if recipe is None:
        raise RunnerUnavailable(
            "eager needs the live model, which this artifact doesn't name: give --model MODEL, as for `layerprobe "
            "export`."
        )
    # An artifact may come from anyone: only built-in and zoo models are run because it names them.
    if not is_library_model(recipe.model):
        raise RunnerUnavailable(
            f"eager needs the live model, whose code runs only at your request: give --model {recipe.model}"
        )
    return recipe.model


def _make(model: str, artifact: Artifact, settings: Settings, outputs: Sequence[str]) -> Any:
    manifest = artifact.manifest
    recipe = manifest.recipe or Recipe(model=model)
    if recipe.weights_file and settings.weights is None:
        raise RunnerUnavailable("eager needs the weights that were exported from a file: give --weights F.")
    size = recipe.input_size
    inside = manifest.preprocessing.in_model if manifest.preprocessing else None
    if manifest.recipe is None and manifest.preprocessing and is_library_model(model):
        size = list(manifest.preprocessing.crop)
    shapes = [[1 if size == "N" else size for size in entry.shape] for entry in manifest.inputs]
    fixed = not inside and recipe.submodule is None and all(isinstance(size, int) for shape in shapes for size in shape)
    return load(_PROBE)(
        model,
        outputs=outputs,
        seed=recipe.seed if settings.seed is None else settings.seed,
        weights=Path(settings.weights) if settings.weights else None,
        submodule=recipe.submodule,
        input_size=size,
        inputs=list(zip(shapes, [each.dtype for each in manifest.inputs], strict=True)) if fixed else (),
        capture=manifest.capture,
        leaf_modules=recipe.leaf_modules,
        dynamic_size=any(size in ("H", "W") for entry in manifest.inputs for size in entry.shape),
        averaged=artifact.is_averaged,
        normalisation=(inside.mean, inside.std) if inside else None,
    )
