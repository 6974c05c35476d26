"""Opening files that anyone may have written: only regular files, of which no more is read than was expected.

A named pipe without a writer would hang, and a device such as /dev/zero never ends.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

__all__ = [
    "LARGEST_DOCUMENT_BYTES",
    "nothing_at",
    "open_regular",
    "read_bounded",
    "real_path",
    "refuse_endless_header",
    "refuse_special",
]

LARGEST_DOCUMENT_BYTES = 2**24
"""Of JSON. Read, it takes up to 40 times as much; a manifest of a thousand outputs has half a megabyte."""
_LARGEST_HEADER_BYTES = 2**26
"""Of a safetensors file; with the names of a hundred thousand photos it has a quarter of that."""


def nothing_at(path: str | Path, what: str = "file or folder") -> str:
    """Return the sentence that says that nothing is at a path: a link may be there, and lead nowhere."""
    try:
        return f"{path} is a link to {Path(path).readlink()}, where nothing is."
    except (OSError, ValueError):  # it is no link
        return f"There is no {what} {path}."


def refuse_special(file: str | Path) -> None:
    """Refuse what is no regular file, for a reader that opens the file itself.

    Raises:
        OSError: it is missing, can't be reached, or is a folder, a pipe or a device.
    """
    _refuse_mode(Path(file).stat().st_mode)


def open_regular(file: Path) -> BufferedReader:
    """Open a regular file.

    Raises:
        OSError: as of `refuse_special`, or it can't be opened.
    """
    # Not blocking: opening a pipe that nobody writes to would hang before its kind is known.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _refuse_mode(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bounded(file: Path, most: int) -> bytes:
    """Return the content of a regular file, of which one byte more than `most` is read if it has more.

    Raises:
        OSError: it can't be read.
    """
    with open_regular(file) as stream:
        return stream.read(most + 1)


def real_path(path: str | Path) -> Path:
    """Return a path without links; of a loop of links, which has none, the path itself."""
    return Path(os.path.realpath(path))


def refuse_endless_header(file: Path) -> None:
    """Refuse a safetensors file whose header would take too much memory, and what is no regular file.

    Raises:
        OSError: as of `open_regular`.
        ValueError: the header is too long.
    """
    with open_regular(file) as stream:
        length = int.from_bytes(stream.read(8), "little")
    if length > _LARGEST_HEADER_BYTES:
        raise ValueError(f"its header is said to have {length:,} bytes")


def _refuse_mode(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise OSError("it is a folder")
    if not stat.S_ISREG(mode):
        raise OSError("it is not a regular file")
