"""The ways from a tensor, C H W, to one map, H W: a table.

What an output's array is, and whether its map shows anything, is in `map_reading.py`. NumPy is imported where it is
used: the command line lists this table in its help.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AUTO", "AUTO_COMPARED", "AUTO_ORDER", "REDUCTIONS", "Reduction"]

_SAME_ENERGY = 0.05
_Reduce = Callable[["NDArray[Any]"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Reduction:
    """One way: what it computes, and the size of the numbers it computes with, of which rounding is a fraction."""

    reduce: _Reduce
    magnitude: _Reduce
    """C H W to H W; a map that varies by less than some machine epsilons of it varies by rounding alone."""
    words: str
    """What a map is, for the footer."""
    share: "Callable[[NDArray[Any], NDArray[np.float64]], float | None] | None" = None
    """C H W and the map to how much of the channels' variance it holds; None where that means nothing."""
    comparable: bool = True
    """Whether two maps can be compared: whether their values don't depend on what is found in each tensor alone."""


def _mean(tensor: "NDArray[Any]") -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray(tensor.mean(axis=0, dtype=np.float64))


def _abs_mean(tensor: "NDArray[Any]") -> "NDArray[np.float64]":
    # The absolute value of the least integer is none of its own type.
    return _mean(abs(tensor if tensor.dtype.kind == "f" else tensor.astype(float)))


def _std(tensor: "NDArray[Any]") -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray(tensor.std(axis=0, dtype=np.float64))


def _l2(tensor: "NDArray[Any]") -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray(np.sqrt(np.einsum("chw,chw->hw", tensor, tensor, dtype=np.float64, casting="unsafe")))


def _max(tensor: "NDArray[Any]") -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray(tensor.max(axis=0), dtype=np.float64)


def _max_magnitude(tensor: "NDArray[Any]") -> "NDArray[np.float64]":
    return abs(_max(tensor))


def _principal(tensor: "NDArray[Any]") -> "NDArray[np.float64]":
    """Each pixel's channels, less their mean over the image, projected on the direction in which they vary most.

    So Eigen-CAM (Muhammad and Yeasin, 2020) finds without a gradient or a class what a layer responds to; it leaves the
    channels' means in. A principal component has no sign of its own: here it is the one that is high where the channels
    are large (their sum of squares), so that bright is where the layer responds; where that is nearly the same
    everywhere, as after a layer norm, the one whose farthest pixels are high. A pixel that isn't finite is NaN.
    """
    import numpy as np

    pixels = tensor.reshape(len(tensor), -1).astype(np.float64)
    finite = np.isfinite(pixels).all(axis=0)
    found = np.full(pixels.shape[1], np.nan)
    if finite.any():
        kept = pixels[:, finite]
        centred = kept - kept.mean(axis=1, keepdims=True)
        found[finite] = _signed(_first_component(centred), np.einsum("cp,cp->p", kept, kept))
    return found.reshape(tensor.shape[1:])


def _explained(tensor: "NDArray[Any]", scores: "NDArray[np.float64]") -> float | None:
    """The share of the channels' variance over the image that the first component's scores hold."""
    import numpy as np

    pixels = tensor.reshape(len(tensor), -1)
    if not np.isfinite(pixels).all():
        return None
    scale = float(np.abs(scores).max()) or 1.0
    whole = float((pixels / scale).var(axis=1, dtype=np.float64).sum()) * scores.size
    share = float(np.sum((scores / scale) ** 2)) / whole if whole else np.nan
    return min(share, 1.0) if np.isfinite(share) else None


def _first_component(centred: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """C P to P: the first principal component's scores, by the smaller of the two matrices that have it."""
    import numpy as np

    channels, pixels = centred.shape
    scale = float(np.abs(centred).max()) or 1.0  # the squares of the largest numbers would overflow
    scaled = centred / scale
    if channels <= pixels:
        return np.asarray(np.linalg.eigh(scaled @ scaled.T)[1][:, -1] @ scaled * scale)
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    return np.asarray(vectors[:, -1] * np.sqrt(max(values[-1], 0.0)) * scale)


def _signed(scores: "NDArray[np.float64]", energy: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    varying = energy - energy.mean()
    if np.ptp(energy) > _SAME_ENERGY * energy.max():
        return scores if scores @ varying >= 0 else -scores
    largest = np.abs(scores).max() or 1.0
    return scores if np.sum((scores / largest) ** 3) >= 0 else -scores


REDUCTIONS = {
    "mean": Reduction(_mean, _abs_mean, "the mean over the channels"),
    "std": Reduction(_std, _l2, "the standard deviation over the channels"),
    "l2": Reduction(_l2, _l2, "the Euclidean norm over the channels"),
    "max": Reduction(_max, _max_magnitude, "the largest of the channels"),
    "abs-mean": Reduction(_abs_mean, _abs_mean, "the mean of the channels' absolute values"),
    "pca": Reduction(
        _principal,
        _l2,
        "the first principal component of the channels, high where they are strong",
        share=_explained,
        comparable=False,
    ),
}
"""By name."""

AUTO = "auto"
AUTO_ORDER = ("mean", "pca")
"""What `auto` tries in turn until a map shows something. The second does, unless every channel is constant."""
AUTO_COMPARED = ("mean", "abs-mean")
"""The same where maps are compared: a principal component is another direction in each tensor."""
