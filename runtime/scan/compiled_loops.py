"""Whether numba is here: the compiled loops, or None, where NumPy does the same."""

from functools import cache
from types import ModuleType

import numpy as np

__all__ = ["compiled", "reduced_by"]


@cache
def compiled() -> ModuleType | None:
    """Return the compiled loops, or None if numba isn't installed."""
    try:
        from . import row_kernels
    except ImportError:  # also by a numba that is older than NumPy
        return None
    return row_kernels


def reduced_by() -> str:
    """Return what computes the sums, on which their last bits depend."""
    if compiled() is None:
        return f"NumPy {np.__version__}"
    import numba

    return f"numba {numba.__version__}"
