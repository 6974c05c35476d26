"""A classifier's result: which output it is, which class is highest, and how probable it is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import UsageError
from ..artifact.manifest import Manifest, Output
from ..artifact.showing import shape_words

__all__ = ["chosen_class", "class_result", "probabilities"]

_WITHOUT_CLASS = "--method eigen needs no class."
_OFF_ONE = 1e-3
"""How far probabilities, or a vector's length, may be off 1 by rounding, in float16, too."""


def class_result(manifest: Manifest) -> Output:
    """Return the one result that has a score for each class: N x classes, with 1 x 1 pixel at most.

    Raises:
        UsageError: there is none, or there are several.
    """
    results = [each for each in manifest.outputs if each.name in manifest.result_names]
    found = [each for each in results if _has_classes(each)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(f"{each.name} ({shape_words(each.shape)})" for each in (found or results)[:4])
    several = "several results could be scores of classes" if found else "no result is N x classes"
    raise UsageError(
        f"A map of a class needs the scores of a classifier, and of {manifest.model} {several}: {shown}.\n"
        f"{_WITHOUT_CLASS}"
    )


def chosen_class(scores: NDArray[Any], class_: int | None, result: Output) -> int:
    """Return the class that is asked for, or else the highest.

    Args:
        scores: of one image, one a class.
        class_: its number; None for the highest.
        result: what they are, for messages.

    Raises:
        UsageError: there is no such class; or none is asked for, and the scores are none.
    """
    if class_ is not None:
        if not 0 <= class_ < len(scores):
            raise UsageError(
                f"There is no class {class_}: {result.name} has {len(scores)}, from 0 to {len(scores) - 1}.\n"
                "Give the number of one of them."
            )
        return class_
    if not np.isfinite(scores).all():
        raise UsageError(
            f"The scores in {result.name} are not all finite numbers, so that none is the highest.\n"
            f"Choose one with --class; {_WITHOUT_CLASS}"
        )
    if len(scores) > 1 and scores.min() < 0 and abs(np.linalg.norm(scores.astype(float)) - 1) < _OFF_ONE:
        raise UsageError(
            f"{result.name} is a vector of length 1, as an embedding is: its {len(scores)} numbers are no classes.\n"
            f"If they are, choose one with --class; {_WITHOUT_CLASS}"
        )
    return int(np.argmax(scores))


def probabilities(scores: NDArray[Any], closing: str | None) -> NDArray[np.float64]:
    """Return the probability of each class, N x classes, by softmax unless the scores are probabilities already.

    Args:
        scores: N x classes.
        closing: the operator that made them, if it is one of `CLOSING`.
    """
    given = scores.astype(np.float64)
    sums_to_one = given.min() >= 0 and np.abs(given.sum(axis=1) - 1).max() < _OFF_ONE
    if closing in ("Softmax", "Sigmoid") or sums_to_one:
        return given
    if given.shape[1] == 1:  # of two classes: the other's score is 0
        return np.asarray(1 / (1 + np.exp(-given)))
    raised = np.exp(given - given.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _has_classes(result: Output) -> bool:
    return len(result.shape) >= 2 and all(size == 1 for size in result.shape[2:]) and "float" in result.dtype
