"""Writes an artifact's folder completely or not at all: after a kill, a power loss or on a full disk, what was there
before is unchanged, and nothing but an artifact is ever replaced.
"""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from runtime.artifact.errors import ArtifactError, ExportError, FolderExists
from runtime.artifact.file_reading import real_path
from runtime.artifact.manifest import MANIFEST_FILE, parse_manifest
from runtime.artifact.unfinished import sync, unfinished

__all__ = ["replace_folder"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def replace_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder beside `target` to write into; on leaving without an error it becomes `target`.

    Args:
        target: the folder to create.
        overwrite: replace an existing artifact.

    Raises:
        FolderExists: `target` exists and `overwrite` is not set, or it isn't an artifact, or it holds something else.
        ExportError: the folder can't be written; what was there before is unchanged.
    """
    target = target.absolute()
    _check_target(target, overwrite=overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(target.parent, folder=True) as partial:
            yield partial
            for file in partial.iterdir():
                sync(file)
            sync(partial)
            _check_target(target, overwrite=overwrite)
            _move_into_place(partial, target)
            sync(target.parent)
    except OSError as error:
        raise ExportError(
            f"Writing {target} failed: {error.strerror or error}.\nNothing there was changed. Free up space, or choose "
            "another folder with -o."
        ) from error


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and Path.cwd().is_relative_to(real_path(target)):
        raise FolderExists(f"{target} is the folder you are in: it would be deleted.\nChoose another folder with -o.")
    if not target.is_dir() or target.is_symlink():
        raise FolderExists(f"{target} exists and is not a folder.\nChoose another path with -o.")
    if not any(target.iterdir()):
        return
    foreign = _foreign(target)
    if foreign is not None:
        raise FolderExists(f"{target} is left alone: {foreign}.\nChoose another folder with -o.")
    if not overwrite:
        raise FolderExists(f"{target} already exists.\nAdd --overwrite to replace it, or choose another path with -o.")


def _foreign(folder: Path) -> str | None:
    """Return what in a folder is nothing that `export` wrote, and would be lost with it; None if there is nothing."""
    file = folder / MANIFEST_FILE
    if not file.is_file():
        return f"it has no {MANIFEST_FILE}, and so is not an artifact"
    try:
        listed = {MANIFEST_FILE, *parse_manifest(file.read_text(encoding="utf-8"), file).files}
    except (ArtifactError, UnicodeDecodeError):
        return f"its {MANIFEST_FILE} is not one that layerprobe {version('layerprobe')} writes"
    others = sorted(each.name for each in folder.iterdir() if each.name not in listed or not each.is_file())
    return f"it holds {others[0]}, which is none of the files that its {MANIFEST_FILE} lists" if others else None


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
