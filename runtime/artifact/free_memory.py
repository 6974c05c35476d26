"""How much memory is free: what a file asks for is estimated before anything is allocated."""

from pathlib import Path

__all__ = ["free_bytes"]


def free_bytes() -> int | None:
    """Return the memory available without swapping; None where the system doesn't report it."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
