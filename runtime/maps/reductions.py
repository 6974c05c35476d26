"""The ways from a tensor, C H W, to one map, H W: a table.

What an output's array is, and whether its map shows anything, is in `map_reading.py`. NumPy is imported where it is
used: the command line lists this table in its help.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .principal_components import PrincipalComponents, principal_components

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AUTO", "AUTO_COMPARED", "AUTO_ORDER", "HUED_REDUCTION", "REDUCTIONS", "Reduction"]

_Reduce = Callable[["NDArray[Any]"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Reduction:
    """One way: what it computes, and the size of the numbers it computes with, of which rounding is a fraction."""

    reduce: _Reduce
    magnitude: _Reduce
    """C H W to H W; a map that varies by less than some machine epsilons of it varies by rounding alone."""
    words: str
    """What a map is, for the footer."""
    components: "Callable[[NDArray[Any]], PrincipalComponents] | None" = None
    """Where the map is the first of several: C H W to all of them."""
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
    return principal_components(tensor, count=1).first


HUED_REDUCTION = "pca3"

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
        components=partial(principal_components, count=1),
        comparable=False,
    ),
    HUED_REDUCTION: Reduction(
        _principal,
        _l2,
        "the channels' principal components, PC1 as brightness, PC2 and PC3 as hue",
        components=principal_components,
        comparable=False,
    ),
}
"""By name."""

AUTO = "auto"
AUTO_ORDER = ("mean", "pca")
"""What `auto` tries in turn until a map shows something. The second does, unless every channel is constant."""
AUTO_COMPARED = ("mean", "abs-mean")
"""The same where maps are compared: a principal component is another direction in each tensor."""
