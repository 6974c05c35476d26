"""Writes a folder completely or not at all: after a kill or on a full disk, what was there before is unchanged."""

import ctypes
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.artifact.errors import ExportError, FolderExists
from runtime.artifact.file_reading import real_path

__all__ = ["replace_folder"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def replace_folder(target: Path, marker: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder beside `target` to write into; on leaving without an error it becomes `target`.

    Args:
        target: the folder to create.
        marker: a file that a folder must hold to be overwritten, so that no other folder of the user's is ever lost.
        overwrite: replace an existing folder.

    Raises:
        FolderExists: `target` exists and `overwrite` is not set, or it isn't a folder with the marker.
        ExportError: the folder can't be written; what was there before is unchanged.
    """
    target = target.absolute()
    _check_target(target, marker, overwrite=overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.parent / f".layerprobe-{secrets.token_hex(6)}.partial"
        partial.mkdir()
    except OSError as error:
        raise ExportError(f"{target} can't be written: {error.strerror}.\nChoose another folder with -o.") from error
    try:
        yield partial
        _check_target(target, marker, overwrite=overwrite)
        _move_into_place(partial, target)
    except OSError as error:
        raise ExportError(
            f"Writing {target} failed: {error.strerror or error}.\nNothing there was changed. Free up space, or choose "
            "another folder with -o."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_target(target: Path, marker: str, *, overwrite: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and Path.cwd().is_relative_to(real_path(target)):
        raise FolderExists(f"{target} is the folder you are in: it would be deleted.\nChoose another folder with -o.")
    if not target.is_dir() or target.is_symlink():
        raise FolderExists(f"{target} exists and is not a folder.\nChoose another path with -o.")
    if not any(target.iterdir()):
        return
    if not (target / marker).is_file():
        raise FolderExists(f"{target} is not an artifact, so it is left alone.\nChoose another folder with -o.")
    if not overwrite:
        raise FolderExists(f"{target} already exists.\nAdd --overwrite to replace it, or choose another path with -o.")


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
