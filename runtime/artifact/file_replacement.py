"""Writing a file atomically: if the process is killed or the disk is full, the earlier file stays."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError
from .file_reading import real_path

__all__ = ["check_place", "replace_file"]


def check_place(target: Path) -> None:
    """Check that a file can be written to `target`, before the work whose result it will hold.

    Raises:
        OutputError: the folder is missing or can't be written to, or `target` is a folder itself.
    """
    if target.is_dir():
        raise OutputError(f"{target} is a folder: give a file name.")
    try:
        target.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a loop of links, a name that is too long
        raise OutputError(f"{target} can't be written: {error.strerror or error}.") from error
    folder = real_path(target).parent
    if not folder.is_dir():
        raise OutputError(f"{target} can't be written: the folder {folder} doesn't exist.")
    if not os.access(folder if not target.exists() or target.is_file() else target, os.W_OK):
        raise OutputError(f"{target} can't be written: Permission denied.")


@contextmanager
def replace_file(target: Path) -> Iterator[BinaryIO]:
    """Yield a stream for bytes; on exit without an error, they become the content of `target`.

    Raises:
        OutputError: the folder is missing, or the file can't be written; an earlier file stays unchanged.
    """
    check_place(target)
    # /dev/stdout or a pipe is written to directly: replacing it would take it from every other process.
    special = target.exists() and not target.is_file()
    if not special:
        target = real_path(target)  # a link stays a link: its target is replaced
    partial = target.parent / f".layerprobe-{secrets.token_hex(6)}.partial"
    try:
        with (target if special else partial).open("wb" if special else "xb") as stream:
            yield stream
        if not special:
            partial.replace(target)
    except OSError as error:
        raise OutputError(f"{target} can't be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)
