"""What libraries say on their own, on which the user of a command can't act: it stays off stderr.

What a model's own source warns of is shown: its author can act on it. With `-W` or PYTHONWARNINGS, everything is.
"""

import logging
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["library_messages_hidden"]

_INSTALLED = {"site-packages", "dist-packages"}


@contextmanager
def library_messages_hidden() -> Iterator[None]:
    """Hide the warnings of installed packages and of layerprobe, and what they log where nobody set up a log."""
    if sys.warnoptions:
        yield
        return
    with warnings.catch_warnings():
        print_warning = warnings.showwarning

        def show(message: Any, category: Any, filename: str, *where: Any, **more: Any) -> None:
            if not _is_library(filename):
                print_warning(message, category, filename, *where, **more)

        warnings.showwarning = show
        last = logging.lastResort
        if last:
            last.addFilter(_log_of_others)
        try:
            yield
        finally:
            if last:
                last.removeFilter(_log_of_others)


def _log_of_others(record: logging.LogRecord) -> bool:
    return not _is_library(record.pathname)


def _is_library(filename: str) -> bool:
    """Return whether a source file is an installed package's, Python's, layerprobe's, or none (generated code)."""
    file = Path(filename)
    own = [Path(__file__).parents[1] / package for package in ("runtime", "probe", "export")]
    homes = [*own, Path(sysconfig.get_path("stdlib"))]
    return not file.is_file() or bool(_INSTALLED & set(file.parts)) or any(map(file.is_relative_to, homes))
