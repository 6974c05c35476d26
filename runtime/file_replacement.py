"""Writing a file so that it is there whole or not at all: a kill or a full disk leaves what stood there before."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError

__all__ = ["replace_file"]


@contextmanager
def replace_file(target: Path) -> Iterator[BinaryIO]:
    """Yield a stream to write bytes to; on leaving without an error they become the content of `target`.

    Raises:
        OutputError: the folder is missing, or the file can't be written; what stood there before still stands.
    """
    if target.is_dir():
        raise OutputError(f"{target} is a folder: give a file's name.")
    # /dev/stdout, or a pipe, is written to: to put a file in its place would take it from everyone.
    special = target.exists() and not target.is_file()
    if not special:
        target = target.resolve()  # a link stays one: what it leads to is replaced
    if not target.parent.is_dir():
        raise OutputError(f"{target} can't be written: there is no folder {target.parent}.")
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
