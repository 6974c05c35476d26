"""What a trained classifier says of a photo, in a few words for its picture: the highest class and its score."""

import numpy as np

from ..artifact.manifest import Manifest, Output
from .photo_maps import PhotoRun

__all__ = ["top_class"]

_PROBABLE = ("softmax", "Softmax")
_HEADS = ("Linear", "linear", "addmm", "Gemm", "MatMul", "Add", *_PROBABLE)
"""By their labels: what computes scores of classes, and no embedding."""


def top_class(run: PhotoRun) -> str:
    """Return the sentence; empty where the weights aren't known to be trained, or there are no classes."""
    output = _class_scores(run.artifact.manifest)
    if output is None:
        return ""
    scores = np.asarray(run.tensors([output.name])[output.name])[0]
    if scores.ndim != 1 or scores.size < 2 or not np.isfinite(scores).all():
        return ""
    best = int(scores.argmax())
    kind = "probability" if output.label in _PROBABLE else "logit"
    return f"Highest class: {best} of {scores.size} ({kind} {scores[best]:.3g}).".replace("-", "−")


def _class_scores(manifest: Manifest) -> Output | None:
    """Return the only result of a trained model, if it has a score for each class."""
    recipe = manifest.recipe
    trained = manifest.capture == "onnx" or (recipe is not None and recipe.weights_file)
    results = [each for each in manifest.outputs if each.name in manifest.result_names]
    if not trained or len(results) != 1:
        return None
    return results[0] if results[0].layout == "NC" and results[0].label in _HEADS else None
