"""Writing a file atomically: after a kill, a power loss or on a full disk, what was there before is still there.

A file of the user's is never replaced: only one that bears the mark of what is written.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import BinaryIO

from .errors import OutputError, UsageError
from .file_reading import real_path
from .unfinished import sync, unfinished

__all__ = ["check_place", "is_stream", "replace_file"]

_SEARCHED = 2**16
"""Bytes at the start and at the end of a file in which its mark is looked for."""


def check_place(target: Path, mark: str) -> None:
    """Check that a file can be written to `target`, before the work whose result it will hold.

    Args:
        target: the file.
        mark: what each file that is written there has near its start or its end.

    Raises:
        UsageError: there is a file without the mark.
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
    if not os.access(target if is_stream(target) else folder, os.W_OK):
        raise OutputError(f"{target} can't be written: Permission denied.")
    if target.is_file() and not _bears(target, mark.encode()):
        raise UsageError(
            f"{target} exists and is none of the files that this command writes, so it is kept.\n"
            "Choose another name, or move it away."
        )


def is_stream(target: Path) -> bool:
    """Return whether something is there that is no file, as a pipe or a device: nothing of it is replaced."""
    return target.exists() and not target.is_file()


def _bears(file: Path, mark: bytes) -> bool:
    """Return whether a file has the mark, or nothing to lose."""
    try:
        with file.open("rb") as stream:
            start = stream.read(_SEARCHED)
            stream.seek(max(stream.tell(), file.stat().st_size - _SEARCHED))
            return not start or mark in start or mark in stream.read()
    except OSError as error:
        raise OutputError(f"{file} exists and can't be read: {error.strerror or error}.") from error


@contextmanager
def replace_file(target: Path, mark: str) -> Iterator[BinaryIO]:
    """Yield a stream for bytes; on exit without an error, they become the content of `target`.

    Args:
        target: the file.
        mark: as of `check_place`.

    Raises:
        UsageError: there is a file without the mark.
        OutputError: the folder is missing, or the file can't be written; an earlier file stays unchanged.
    """
    check_place(target, mark)
    try:
        # /dev/stdout or a pipe is written to directly: replacing it would take it from every other process.
        if is_stream(target):
            with TemporaryFile() as whole:  # what is written may go back in its file, which a pipe can't
                yield whole
                whole.seek(0)
                with target.open("wb") as stream:
                    copyfileobj(whole, stream)
            return
        target = real_path(target)  # a link stays a link: its target is replaced
        with unfinished(target.parent, folder=False) as partial:
            with partial.open("r+b") as stream:  # not anew, where a signal in another thread has removed it
                yield stream
            sync(partial)
            partial.replace(target)
            sync(target.parent)
    except OSError as error:
        raise OutputError(f"{target} can't be written: {error.strerror or error}.") from error
