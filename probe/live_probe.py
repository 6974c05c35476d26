"""A model's name -> its probe, ready to run; `runtime`'s runner `eager` loads it through an entry point.

Plain data goes in and tensors come out, so that neither package imports the other.
"""

import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch

from runtime.artifact.manifest import Normalisation

from .averaging import average_probe
from .build import Capture, TrainingModeWarning, build_probe
from .model.chosen_model import load_chosen
from .observe.results import walk
from .pixel_input import Normalise, normalising

__all__ = ["LiveProbe"]


class LiveProbe:
    """The probe of a live model, or the model itself if only its results are requested.

    Attributes:
        digest: of its weights, as in an artifact's manifest.
        names: of its outputs, in the order of execution.
    """

    def __init__(
        self,
        model: str,
        *,
        outputs: Sequence[str],
        seed: int = 0,
        weights: Path | None = None,
        submodule: str | None = None,
        input_size: Sequence[int] = (),
        inputs: Sequence[tuple[Sequence[int], str]] = (),
        capture: Capture = "auto",
        dynamic_size: bool = False,
        leaf_modules: Sequence[str] = (),
        averaged: bool = False,
        normalisation: tuple[list[float], list[float]] | None = None,
    ) -> None:
        """Build the model as `layerprobe export` does, and its probe with `outputs` and the model's results.

        `inputs` are shape and dtype of what it is called with, for a model that comes without an example.

        With `averaged`, each output with a height and a width is replaced by its mean over the channels; with
        `normalisation`, a mean and std, it takes pixels (`on_pixels`).

        Raises:
            LayerprobeError: the model doesn't exist, its weights don't fit, or it doesn't have these outputs.
        """
        # What the model's own code prints is not part of the result.
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingModeWarning)
            example = [torch.zeros(*shape, dtype=getattr(torch, dtype)) for shape, dtype in inputs]
            loaded = load_chosen(
                model, seed=seed, input_size=input_size, weights=weights, submodule=submodule, example=example
            )
            self._probe = build_probe(
                loaded.module,
                *loaded.example,
                kwargs=loaded.kwargs,
                # Of what takes pixels, the first output is none of the model's.
                outputs=outputs if normalisation is None else (),
                capture=capture,
                dynamic_size=dynamic_size,
                leaf_modules=leaf_modules,
            )
        self._model = loaded.module.eval()
        self._normalise: Normalise | None = None
        self._example = loaded.call
        self.digest = self._probe.weights
        if normalisation is not None:
            mean, std = normalisation
            steps = Normalisation(mean=mean, std=std)
            self._normalise = Normalise(steps, self._example.tensors[0])
            whole = normalising(self._probe, steps)
            self._probe = whole.only({*outputs, *whole.results.values()})
        # Without a map (only scores, for example) there is nothing to average.
        averaged = averaged and any(output.has_map for output in self._probe.outputs)
        if averaged:
            self._probe = average_probe(self._probe)
        self.names = [output.name for output in self._probe.outputs]
        self._unprobed = set(outputs) <= set(self._probe.results.values()) and not averaged

    def __call__(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every output by name, in the order of execution; if only results are requested, the model runs."""
        if not self._unprobed:
            return self._probe(*inputs)
        with torch.no_grad():
            if self._normalise is not None:
                inputs = (self._normalise(*inputs),)
            returned = dict(walk(self._example.replaced(inputs).run(self._model)))
        return {name: returned[path] for path, name in self._probe.results.items()}
