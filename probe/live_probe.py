"""A model by its name -> its probe, ready to run: what `runtime`'s runner `eager` asks for, by an entry point.

Plain data go in and tensors come out, so that neither package imports the other.
"""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch

from .averaging import average_probe
from .build import Capture, build_probe
from .model.example import bind_example
from .model.loading import load_model
from .model.weights import load_weights, weights_digest
from .observe.results import walk

__all__ = ["LiveProbe"]


class LiveProbe:
    """The probe of a live model, or that model itself where only what it returns is asked for.

    Attributes:
        digest: of its weights, as the manifest of an artifact has it.
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
        capture: Capture = "auto",
        dynamic_size: bool = False,
        averaged: bool = False,
    ) -> None:
        """Make the model as `layerprobe export` does, and its probe with `outputs` and what the model returns.

        With `averaged`, of each output with a height and a width only the mean over its channels.

        Raises:
            LayerprobeError: there is no such model, its weights don't fit, or it has other outputs.
        """
        # What a model's own code prints is no result of ours.
        with redirect_stdout(sys.stderr):
            loaded = load_model(model, seed, input_size)
            if weights:
                load_weights(loaded.module, weights)
            if submodule:
                loaded = loaded.submodule(submodule)
            self._probe = build_probe(
                loaded.module,
                *loaded.example,
                kwargs=loaded.kwargs,
                outputs=outputs,
                capture=capture,
                dynamic_size=dynamic_size,
            )
        self._model = loaded.module.eval()
        self._example = bind_example(self._model, loaded.example, loaded.kwargs)
        self.digest = weights_digest(self._probe.traced.module)
        # What the model itself returns is no average.
        averaged = averaged and any(output.has_map for output in self._probe.outputs)
        if averaged:
            self._probe = average_probe(self._probe)
        self.names = [output.name for output in self._probe.outputs]
        self._unprobed = set(outputs) <= set(self._probe.results.values()) and not averaged

    def __call__(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every output by name, in the order of execution; the model itself runs if nothing else is wanted."""
        if not self._unprobed:
            return self._probe(*inputs)
        with torch.no_grad():
            returned = dict(walk(self._example.replaced(inputs).run(self._model)))
        return {name: returned[path] for path, name in self._probe.results.items()}
