"""This process's memory: the most that it took since a moment, on Linux, which lets its own mark be set back."""

import contextlib
import ctypes
import gc
import sys
from pathlib import Path

__all__ = ["PeakMemory", "hand_memory_back", "memory_bytes"]

_RESET_PEAK = "5"


class PeakMemory:
    """Begins to measure when it is made."""

    def __init__(self) -> None:
        self._before: int | None = None
        # What was freed and kept would be taken again at no cost, as it seems.
        gc.collect()
        hand_memory_back()
        try:
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
            self._before = memory_bytes("VmRSS")
        except (OSError, ValueError):
            return

    def megabytes(self) -> float | None:
        """Return how much more than at the beginning was in memory at the peak; None where the system doesn't tell."""
        peak = memory_bytes("VmHWM") if self._before is not None else None
        return None if peak is None or self._before is None else max(0, peak - self._before) / 1e6


def memory_bytes(name: str) -> int | None:
    """Return what Linux tells of this process's own memory: `VmRSS` now, `VmHWM` at the peak; None if it doesn't tell.

    Raises:
        OSError: the system is another.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def hand_memory_back() -> None:
    """Give back what was freed: glibc keeps most of it, and PyTorch a GPU's, and what comes next would come on top."""
    torch = sys.modules.get("torch")  # where nothing has imported it, it keeps nothing
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without it
            ctypes.CDLL(None).malloc_trim(0)
