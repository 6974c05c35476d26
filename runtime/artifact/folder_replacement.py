"""Writes a folder completely or not at all: after a kill, a power loss or on a full disk, what was there before is
unchanged, and nothing but a folder of the same kind is ever replaced. What kind a folder is, the caller says.
"""

import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ExportError, FolderExists
from .file_reading import nothing_at, real_path
from .unfinished import sync, unfinished

__all__ = ["Foreign", "check_folder", "refuse_no_folder", "replace_folder"]

Foreign = Callable[[Path], str | None]
"""Returns what in a folder is nothing that the command wrote, and would be lost with it; None if there is nothing."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def replace_folder(target: Path, foreign: Foreign, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder beside `target` to write into; on leaving without an error it becomes `target`.

    Args:
        target: the folder to create.
        foreign: what an existing folder must not have.
        overwrite: replace an existing folder of this kind.

    Raises:
        FolderExists: as of `check_folder`.
        ExportError: the folder can't be written; what was there before is unchanged.
    """
    target = target.absolute()
    check_folder(target, foreign, overwrite=overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(target.parent, folder=True) as partial:
            yield partial
            for each in partial.rglob("*"):
                sync(each)
            sync(partial)
            check_folder(target, foreign, overwrite=overwrite)
            _move_into_place(partial, target)
            sync(target.parent)
    except OSError as error:
        raise ExportError(
            f"Writing {target} failed: {error.strerror or error}.\nNothing there was changed. Free up space, or choose "
            "another folder with -o."
        ) from error


def check_folder(target: Path, foreign: Foreign, *, overwrite: bool) -> None:
    """Check that a folder can be written to `target`, before the work whose result it will hold.

    Raises:
        FolderExists: `target` exists and `overwrite` is not set, or it isn't of this kind, or it holds something else.
    """
    refuse_no_folder(target)
    if not target.exists():
        return
    if target.is_dir() and Path.cwd().is_relative_to(real_path(target)):
        raise FolderExists(f"{target} is the folder you are in: it would be deleted.\nChoose another folder with -o.")
    if target.is_symlink():
        raise FolderExists(f"{target} is a link, and would be replaced.\nChoose another path with -o.")
    if not any(target.iterdir()):
        return
    found = foreign(target)
    if found is not None:
        raise FolderExists(f"{target} is left alone: {found}.\nChoose another folder with -o.")
    if not overwrite:
        raise FolderExists(f"{target} already exists.\nAdd --overwrite to replace it, or choose another path with -o.")


def refuse_no_folder(target: Path) -> None:
    """Refuse a place for a folder at which something else is.

    Raises:
        FolderExists: a file, or a link that leads nowhere, is there or above it.
    """
    for place in (target, *target.parents):
        if place.is_dir():
            return
        if place.is_symlink() and not place.exists():
            raise FolderExists(f"{nothing_at(place)}\nChoose another path with -o.")
        if place.exists():
            raise FolderExists(f"{place} is a file, not a folder.\nChoose another path with -o.")


def _move_into_place(partial: Path, target: Path) -> None:
    """Rename `partial` to `target`. What was at `target` is then at `partial`, or deleted."""
    if not target.exists():
        partial.rename(target)
    elif not _exchange(partial, target):
        # Between these two renames a kill leaves the old folder under its other name, still whole.
        previous = partial.with_suffix(".previous")
        target.rename(previous)
        try:
            partial.rename(target)
        except OSError:
            previous.rename(target)
            raise
        shutil.rmtree(previous, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step, as Linux's renameat2(2) can and rename(2) can't; False if it isn't available."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0
