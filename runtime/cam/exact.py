"""Exact CAM: where a class's score is a weighted sum of averaged channels, the same sum of the channels is its map.

Zhou et al., *Learning Deep Features for Discriminative Localization*, 2016. The head is found in `class_head.py`.
"""

from collections.abc import Sequence

import numpy as np

from ..artifact.errors import UsageError
from ..artifact.manifest import Output
from .class_run import ClassRun, Weights

__all__ = ["exact_weights"]


def exact_weights(run: ClassRun, layer: Output, classes: Sequence[int], channels: Sequence[int]) -> Weights:  # noqa: ARG001
    """Return the weights that the model file has for each class, of all channels.

    Raises:
        UsageError: the model has no such head, or another layer is averaged.
    """
    head = run.linear_head()
    if layer.name != head.layer:
        raise UsageError(
            f"An exact map is one of {head.step}, from whose average the scores are computed, not of {layer.name}.\n"
            "Omit --outputs, or choose another method: ablation, score or eigen."
        )
    if head.averages_all_of(layer, run.tensor(layer.name).shape):
        rows = [head.weights(class_, len(run.scores)) for class_ in classes]
        found = [row for row in rows if row is not None and len(row) == len(run.channels(layer))]
        if len(found) == len(rows):
            return np.stack(found)
    raise UsageError(
        f"An exact map needs the average of all pixels of {layer.name}; {run.manifest.model} averages them in parts.\n"
        "Choose another method: ablation, score or eigen."
    )
