"""What is not complete yet, under a name of its own; what killed processes left under such names is removed.

The name holds the machine, for locks may not reach from one to another. A lock says that the process lives: it ends
with it, however that ends. Giving what is complete its final name is `file_replacement.py` and `folder_replacement.py`.
"""

import os
import platform
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["remove_unfinished", "scratch_folder", "sync", "unfinished"]

_IN_WORK: set[Path] = set()
"""What this process has not completed yet."""
_MAKING = threading.RLock()
"""Held while something is made, and from the moment at which the process removes what it has begun: nothing follows."""
_WAITS_S = 5.0
_TRIES = 100
"""Of removing a folder into which another thread still writes."""

try:
    import fcntl
except ImportError:  # Windows, where nobody can tell whether a process still writes: nothing is removed
    fcntl = None  # type: ignore[assignment]


@contextmanager
def unfinished(place: Path, *, folder: bool, mode: int = 0o777) -> Iterator[Path]:
    """Yield a new, empty file or folder in `place`, which is removed on leaving unless it was moved away.

    Args:
        place: an existing folder. What killed processes left in it is removed first.
        folder: whether to make a folder, and not a file.
        mode: the permissions, less those that the umask takes.

    Raises:
        OSError: it can't be made.
    """
    prefix = f".layerprobe-{re.sub(r'[^A-Za-z0-9]', '-', platform.node())[:40]}-"
    for left in place.glob(f"{prefix}{'[0-9a-f]' * 12}.partial"):
        lock = _lock(left)
        if lock is not None:
            _remove(left)
            os.close(lock)
    path = place / f"{prefix}{secrets.token_hex(6)}.partial"
    new = path.with_suffix(".new")  # until it is locked, under a name that no other process removes
    lock = None
    try:
        with _MAKING:
            _IN_WORK.update((new, path))
            if folder:
                new.mkdir(mode)
            else:
                new.touch(mode & 0o666, exist_ok=False)
            lock = _lock(new)
            new.rename(path)
        yield path
    finally:
        for each in (new, path):
            _remove(each)
            _IN_WORK.discard(each)
        if lock is not None:
            os.close(lock)


def remove_unfinished() -> None:
    """Remove all that this process has not completed, as it ends at once; from here on, nothing is begun.

    The other threads go on meanwhile: one would make a folder of its own, or a file in a folder that is being removed.
    """
    _MAKING.acquire(timeout=_WAITS_S)  # and never released
    for path in tuple(_IN_WORK):
        for _ in range(_TRIES):
            _remove(path)
            if not os.path.lexists(path):
                break


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder among the system's temporary ones, which only its user can read; removed on leaving."""
    with unfinished(Path(tempfile.gettempdir()), folder=True, mode=0o700) as path:
        yield path


def sync(path: Path) -> None:
    """Wait until the disk holds what was written to a file, or which names a folder holds.

    A new name may reach the disk before the content: after a power loss, the file would be there and empty.

    Raises:
        OSError: the disk can't hold it.
    """
    if os.name == "nt":  # where neither a folder nor a file that is open for reading can be synchronised
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        # Some file systems can't do it for folders.
        if not path.is_dir():
            raise
    finally:
        os.close(handle)


def _lock(path: Path) -> int | None:
    """Return an open descriptor that locks `path`; None if a living process has it, or nobody can lock it."""
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
