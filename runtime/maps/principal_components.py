"""The first three principal components of a tensor's channels: of each pixel a brightness and a hue.

How they become colours is in `component_colours.py`, how those of neighbouring tiles are made alike in `likeness.py`.
NumPy is imported where it is used, as in `reductions.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Hues", "PrincipalComponents", "principal_components"]

_SAME_ENERGY = 0.05
_LEAST_HUE = 0.01
"""Of the channels' variance: a second or third component that holds less has no hue, since it may be rounding."""


@dataclass(frozen=True)
class Hues:
    """The second and the third component."""

    plane: "NDArray[np.float64]"
    """H W 2: their scores, each in multiples of its standard deviation; 0 where it holds hardly anything, and where a
    pixel isn't finite."""
    share: float
    """How much of the channels' variance, over the finite pixels, those that are drawn hold, with the first."""
    count: int
    """How many these are, up to 3: 1 where no other holds anything, as of one channel."""


@dataclass(frozen=True)
class PrincipalComponents:
    """The first component, what the others are, and where every pixel is finite, how much it holds."""

    first: "NDArray[np.float64]"
    """H W: its scores."""
    share: float | None = None
    """How much of the channels' variance over the image it holds."""
    hues: Hues | None = None
    others: "Sequence[tuple[NDArray[np.float64], float]]" = ()
    """The second and the third: the scores, H W, and how much of the variance over the finite pixels each holds."""


def principal_components(tensor: "NDArray[Any]", *, count: Literal[1, 3] = 3) -> PrincipalComponents:
    """Return each pixel's channels, less their mean over the image, projected on where they vary most.

    So Eigen-CAM (Muhammad and Yeasin, 2020) finds without a gradient or a class what a layer responds to; it leaves the
    channels' means in. A principal component has no sign of its own: here the first is high where the channels are
    large (their sum of squares), so that bright is where the layer responds; where that is nearly the same everywhere,
    as after a layer norm, and in the others, its farthest pixels are high. A pixel that isn't finite is NaN.

    Args:
        tensor: C H W.
        count: how many are computed; of one there are no hues.
    """
    import numpy as np

    shape = tensor.shape[1:]
    pixels = tensor.reshape(len(tensor), -1).astype(np.float64)
    finite = np.isfinite(pixels).all(axis=0)

    def laid_out(scores: "NDArray[np.float64]") -> "NDArray[np.float64]":
        found = np.full(pixels.shape[1], np.nan)
        found[finite] = scores
        return found.reshape(shape)

    if not finite.any():
        return PrincipalComponents(laid_out(np.empty(0)))
    kept = pixels[:, finite]
    centred = kept - kept.mean(axis=1, keepdims=True)
    scale = float(np.abs(centred).max()) or 1.0  # the squares of the largest numbers would overflow
    scores = _scores(centred / scale, count)
    first = laid_out(_signed(scores[0] * scale, np.einsum("cp,cp->p", kept, kept)))
    held, whole = np.sum(scores**2, axis=1), float(np.sum((centred / scale) ** 2))
    if not whole or not np.isfinite(whole):
        return PrincipalComponents(first)
    shares = np.minimum(held / whole, 1.0)
    share = float(shares[0]) if finite.all() else None
    if count == 1:
        return PrincipalComponents(first, share)
    seen = shares[1:] >= _LEAST_HUE
    deviations = np.sqrt(held[1:] / kept.shape[1])
    scores = scores[1:] * np.where(np.sum(scores[1:] ** 3, axis=1) >= 0, 1.0, -1.0)[:, None]  # one tensor, one picture
    plane = np.zeros((pixels.shape[1], 2))
    plane[finite] = np.where(seen[:, None], scores / np.where(seen, deviations, 1.0)[:, None], 0.0).T
    drawn = 1 + int(seen.sum())
    hues = Hues(plane.reshape(*shape, 2), min(float(shares[:drawn].sum()), 1.0), drawn)
    others = [(laid_out(each * scale), float(one)) for each, one in zip(scores, shares[1:], strict=True)]
    return PrincipalComponents(first, share, hues, others)


def _scores(centred: "NDArray[np.float64]", count: int) -> "NDArray[np.float64]":
    """C P to `count` P: the components' scores, by the smaller of the two matrices that have them; 0 for none."""
    import numpy as np

    channels, pixels = centred.shape
    found = np.zeros((count, pixels))
    if channels <= pixels:
        few = np.linalg.eigh(centred @ centred.T)[1][:, : -count - 1 : -1].T @ centred
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        few = (vectors[:, : -count - 1 : -1] * np.sqrt(np.maximum(values[: -count - 1 : -1], 0.0))).T
    found[: len(few)] = few
    return found


def _signed(scores: "NDArray[np.float64]", energy: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    varying = energy - energy.mean()
    if np.ptp(energy) > _SAME_ENERGY * energy.max():
        return scores if scores @ varying >= 0 else -scores
    largest = np.abs(scores).max() or 1.0
    return scores if np.sum((scores / largest) ** 3) >= 0 else -scores
