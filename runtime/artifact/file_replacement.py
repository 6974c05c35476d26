"""Writing a file so that it is there whole or not at all: a kill or a full disk leaves what stood there before."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError

__all__ = ["check_place", "replace_file"]


def check_place(target: Path) -> None:
    """See that a file can be put at `target`, before the work whose result it is to hold.

    Raises:
        OutputError: the folder is missing or can't be written to, or `target` is a folder itself.
    """
    if target.is_dir():
        raise OutputError(f"{target} is a folder: give a file's name.")
    folder = target.resolve().parent
    if not folder.is_dir():
        raise OutputError(f"{target} can't be written: there is no folder {folder}.")
    if not os.access(folder if not target.exists() or target.is_file() else target, os.W_OK):
        raise OutputError(f"{target} can't be written: Permission denied.")


@contextmanager
def replace_file(target: Path) -> Iterator[BinaryIO]:
    """Yield a stream to write bytes to; on leaving without an error they become the content of `target`.

    Raises:
        OutputError: the folder is missing, or the file can't be written; what stood there before still stands.
    """
    check_place(target)
    # /dev/stdout, or a pipe, is written to: to put a file in its place would take it from everyone.
    special = target.exists() and not target.is_file()
    if not special:
        target = target.resolve()  # a link stays one: what it leads to is replaced
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
