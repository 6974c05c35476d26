"""Ablation-CAM: a channel weighs what the class's score loses without it.

Desai and Ramaswamy, *Ablation-CAM: Visual Explanations for Deep Convolutional Network via Gradient-free Localization*,
2020. The score is the one before the softmax. The paper divides each loss by the whole score, which scales the map, and
turns it where the score is negative: here nothing is divided.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from ..maps.channel_mean import channel_axis
from .class_run import ClassRun, Weights

__all__ = ["ablation_weights"]


def ablation_weights(run: ClassRun, layer: Output, classes: Sequence[int], channels: Sequence[int]) -> Weights:
    """Return what each class's score loses where a channel is 0, in all pixels and tokens; 0 for those not tried.

    The model is run from the layer on only, several channels as one batch.

    Raises:
        UsageError: the layer is quantized, or there is no ONNX file.
        RunnerUnavailable: the runtime can't start in the middle of a model.
        LayerprobeError: the runner failed.
    """
    whole, axis = run.tensor(layer.name), channel_axis(layer.layout)
    if whole.dtype.kind != "f":
        raise UsageError(
            f"{layer.name} holds whole steps ({whole.dtype}), of which 0 need not mean nothing.\n"
            "Choose a layer in floating point with --outputs, or another method: score or eigen."
        )
    rest = run.rest(layer)
    weights = np.zeros((len(classes), whole.shape[axis]))

    def scores(arrays: NDArray[Any]) -> NDArray[np.float64]:
        inputs = {name: np.repeat(run.image, len(arrays), axis=0) for name in rest.inputs}
        found = rest.compute({layer.name: arrays, **inputs})
        return found.reshape(len(arrays), -1)[:, classes].astype(np.float64)

    run.on_phase(f"leaving out {len(channels)} channels of {layer.name}")
    of_whole = scores(whole)
    step = run.batch(layer, run.result)
    for start in range(0, len(channels), step):
        part = list(channels[start : start + step])
        arrays = np.repeat(whole, len(part), axis=0)
        np.moveaxis(arrays, axis, 1)[range(len(part)), part] = 0
        weights[:, part] = (of_whole - scores(arrays)).T
    return weights
