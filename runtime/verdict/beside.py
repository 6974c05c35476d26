"""Work in another thread beside the caller's own: NumPy and the runtimes release Python's lock while they compute.

What the work is, `judge.py` and `runner_trial.py` know.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

__all__ = ["Beside"]

_T = TypeVar("_T")


class Beside:
    """A second thread, if there is memory for what both take."""

    def __init__(self, size_bytes: int) -> None:
        """Take the bytes of the model's weights and outputs together."""
        self._thread = ThreadPoolExecutor(max_workers=1) if size_bytes <= _SMALL_BYTES else None

    @property
    def has_thread(self) -> bool:
        """Whether there is one."""
        return self._thread is not None

    def start(self, work: Callable[[], _T]) -> Callable[[], _T]:
        """Start the work, after what was started before; without a thread it waits until its result is asked for.

        Returns:
            What returns the work's result, or raises its error.
        """
        return self._thread.submit(work).result if self._thread else cache(work)

    def close(self) -> None:
        """Drop what has not started. An error isn't kept waiting for what is no longer needed."""
        if self._thread:
            self._thread.shutdown(wait=False, cancel_futures=True)


_SMALL_BYTES = 1 << 28
"""256 MB, as of a ResNet-50: both threads' work may take twice the weights and the tensors at the same time."""
