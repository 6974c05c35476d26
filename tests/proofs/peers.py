"""What others would say of the same tensors: fixed tolerances, and torch.onnx's own verification.

Each is given every intermediate tensor under its name, which in a file of their own they would not have.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch.onnx.verification import VerificationInfo

from runtime.artifact.reference import Truth

__all__ = ["PEERS", "alarmed", "first_new"]


def _polygraphy(result: np.ndarray, truth: np.ndarray) -> bool:
    """`polygraphy run` by default: an element fails that is over both tolerances."""
    error = np.abs(result - truth)
    with np.errstate(divide="ignore", invalid="ignore"):
        return bool(((error > 1e-5) & (error / np.abs(truth) > 1e-5)).any())


def _allclose(result: np.ndarray, truth: np.ndarray) -> bool:
    return not np.allclose(result, truth, rtol=1e-3, atol=1e-4, equal_nan=True)


def _torch(result: np.ndarray, truth: np.ndarray) -> bool:
    """What `torch.onnx.verification` warns of: it gives two numbers for each value, and no verdict."""
    expected, actual = (torch.from_numpy(np.asarray(each, np.float32)) for each in (truth, result))
    if not expected.numel():
        return False
    info = VerificationInfo.from_tensors("", expected, actual)
    return info.max_abs_diff > 0.01 or info.max_rel_diff > 0.1


PEERS: Mapping[str, Callable[[np.ndarray, np.ndarray], bool]] = {
    "Polygraphy (1e-5, 1e-5)": _polygraphy,
    "allclose (1e-3, 1e-4)": _allclose,
    "torch.onnx (0.01, 0.1)": _torch,
}
"""By name, with its absolute and relative tolerance; each returns whether it calls a result wrong."""


def alarmed(arrays: Mapping[str, np.ndarray], truths: Mapping[str, Truth]) -> dict[str, list[str]]:
    """Return the outputs that each of them calls wrong, in the order of the file."""
    return {
        peer: [name for name, truth in truths.items() if name in arrays and _alarms(arrays[name], truth, is_wrong)]
        for peer, is_wrong in PEERS.items()
    }


def _alarms(array: np.ndarray, truth: Truth, is_wrong: Callable[[np.ndarray, np.ndarray], bool]) -> bool:
    return array.shape != tuple(truth.shape) or is_wrong(truth.sampled(array).astype(np.float64), truth.sample)


def first_new(after: Sequence[str], before: Sequence[str]) -> str | None:
    """Return the first output that is called wrong and was not before."""
    return next((name for name in after if name not in set(before)), None)
