"""This process's peak memory since a given moment, on Linux, whose high-water mark can be reset."""

import contextlib
import ctypes
import gc
import sys
from pathlib import Path

__all__ = ["PeakMemory", "hand_memory_back", "memory_bytes"]

_RESET_PEAK = "5"


class PeakMemory:
    """Starts to measure when it is created."""

    def __init__(self) -> None:
        self._before: int | None = None
        # Memory that was freed but kept would be reused, and so seem to cost nothing.
        gc.collect()
        hand_memory_back()
        try:
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            self._before = memory_bytes("VmRSS")
        except (OSError, ValueError):
            return

    def megabytes(self) -> float | None:
        """Return by how much the peak exceeds the memory at the start; None where the system doesn't report it."""
        peak = memory_bytes("VmHWM") if self._before is not None else None
        return None if peak is None or self._before is None else max(0, peak - self._before) / 1e6


def memory_bytes(name: str) -> int | None:
    """Return this process's memory as Linux reports it: `VmRSS` now, `VmHWM` at the peak; None if it doesn't.

    Raises:
        OSError: the system isn't Linux.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def hand_memory_back() -> None:
    """Return freed memory to the system: glibc keeps most of it, PyTorch a GPU's, and new memory would come on top."""
    torch = sys.modules.get("torch")  # if it isn't imported, it keeps nothing
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without it
            ctypes.CDLL(None).malloc_trim(0)
