"""Writing a file so that it is there whole or not at all: a kill or a full disk leaves what stood there before."""

import os
import tempfile
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
    if not target.parent.is_dir():
        raise OutputError(f"{target} can't be written: there is no folder {target.parent}.")
    try:
        descriptor, partial = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    except OSError as error:
        raise OutputError(f"{target} can't be written: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        # mkstemp makes files for their owner alone; a result is shared like any other file.
        mask = os.umask(0)
        os.umask(mask)
        Path(partial).chmod(0o666 & ~mask)
        Path(partial).replace(target)
    except OSError as error:
        raise OutputError(f"{target} can't be written: {error.strerror or error}.") from error
    finally:
        Path(partial).unlink(missing_ok=True)
