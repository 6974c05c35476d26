"""How much memory is free: what a file asks for is estimated before anything is allocated."""

from pathlib import Path

__all__ = ["free_bytes"]


def free_bytes() -> int | None:
    """Return the memory that this process may still use without swapping; None where the system doesn't report it.

    That is what the machine has, or less: what its container (cgroup), or the process itself (`ulimit -v`), is allowed.
    """
    known = [free for free in (_of_machine(), _of_container(), _of_process()) if free is not None]
    return max(0, min(known)) if known else None


def _of_machine() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_container() -> int | None:
    """What is left of the limit of cgroup v2, in which a container sees itself as the root."""
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}")[:1] for name in ("max", "current"))
    if not limit or not used or limit[0] == "max":
        return None
    # Pages of files are given back where memory runs short.
    cached = [
        int(line.split()[1]) for line in _lines("/sys/fs/cgroup/memory.stat") if line.startswith("inactive_file ")
    ]
    return int(limit[0]) - int(used[0]) + sum(cached)


def _of_process() -> int | None:
    """What is left of the limit of addresses; libraries reserve more of them than they use."""
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _lines("/proc/self/statm")[:1]
    if limit == resource.RLIM_INFINITY or not used:
        return None
    return limit - int(used[0].split()[0]) * resource.getpagesize()


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="ascii").splitlines()
    except OSError:
        return []
