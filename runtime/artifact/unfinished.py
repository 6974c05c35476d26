"""What is not complete yet, under a name of its own; what killed processes left under such names is removed.

The name holds the machine, for locks may not reach from one to another. A lock says that the process lives: it ends
with it, however that ends. Giving what is complete its final name is `file_replacement.py` and `folder_replacement.py`.
"""

import errno
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

__all__ = ["UNFINISHED", "remove_unfinished", "scratch_folder", "sync", "unfinished"]

UNFINISHED = ".layerprobe-*.partial"
"""What such names look like."""
_IN_WORK: set[Path] = set()
"""What this process has not completed yet."""
_MAKING = threading.RLock()
"""Held while something is made, and from the moment at which the process removes what it has begun: nothing follows."""
_WAITS_S = 5.0
_TRIES = 100
"""Of removing a folder into which another thread still writes; of making what other processes remove."""

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
        with suppress(BlockingIOError):  # a living process has it
            if (lock := _lock(left)) is not None:
                _remove(left)
                os.close(lock)
    path, lock = None, None
    try:
        with _MAKING:
            path, lock = _made(place, prefix, folder=folder, mode=mode)
        yield path
    finally:
        if path is not None:
            _remove(path)
            _IN_WORK.discard(path)
        if lock is not None:
            os.close(lock)


def _made(place: Path, prefix: str, *, folder: bool, mode: int) -> tuple[Path, int | None]:
    """Make it, and return it with an open descriptor that locks it; None where nobody can lock it.

    Until it is locked, another process may take it for what a killed one left: then another is made.
    """
    for _ in range(_TRIES):
        path = place / f"{prefix}{secrets.token_hex(6)}.partial"
        _IN_WORK.add(path)
        try:
            if folder:
                path.mkdir(mode)
            else:
                path.touch(mode & 0o666, exist_ok=False)
            lock = _lock(path)
            if path.exists():
                return path, lock
            if lock is not None:
                os.close(lock)
        except BlockingIOError:
            pass
        except OSError:
            _remove(path)
            _IN_WORK.discard(path)
            raise
        _IN_WORK.discard(path)
    raise OSError(errno.EBUSY, "other processes remove what is made", str(place))


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
    """Return an open descriptor that locks `path`; None if nobody can lock it, or it isn't there.

    Raises:
        BlockingIOError: another process has it.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
