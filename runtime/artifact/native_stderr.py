"""The process's stderr, closed for a while to what C and C++ libraries write past Python."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["native_stderr_closed"]


@contextmanager
def native_stderr_closed() -> Iterator[None]:
    """Keep what is written to file descriptor 2 meanwhile from being seen."""
    if sys.stderr is None:  # then 2 may be a file that was opened since
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
