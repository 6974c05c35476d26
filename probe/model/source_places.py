"""Which source lines are a model's own, and how they are shown: never with a path that only this machine has."""

import os
import sys
import traceback
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

import torch

__all__ = ["calling_frame", "place_of", "source_line"]

_NOT_MODEL_CODE = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parents[1]}{os.sep}", "<")
# The built-in CNNs are models like any other.
_BUILT_IN = str(Path(__file__).parent / "variants.py")


def calling_frame(frame: FrameType | None, outermost: CodeType) -> FrameType | None:
    """Return the innermost frame of a model's own code, searching outwards from `frame` to the one of `outermost`."""
    while frame is not None and frame.f_code is not outermost:
        if _is_model_code(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


def source_line(frame: FrameType | None) -> tuple[str | None, int | None]:
    """Return the file and the line of a frame."""
    return (None, None) if frame is None else (_portable_path(frame.f_code.co_filename), frame.f_lineno)


def place_of(error: BaseException) -> str:
    """Return ` (file:line)` of the model's own line that an error was raised from; empty if there is none."""
    for entry in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_model_code(entry.filename):
            return f" ({_portable_path(entry.filename)}:{entry.lineno})"
    return ""


def _is_model_code(file: str) -> bool:
    return file == _BUILT_IN or not file.startswith(_NOT_MODEL_CODE)


def _portable_path(file: str) -> str:
    """Return `file` relative to the import path that holds it, so that no artifact reveals a home folder."""
    return _relative_path(file, tuple(sys.path))


@cache  # needed at each operation of a model
def _relative_path(file: str, import_paths: tuple[str, ...]) -> str:
    folders = [folder for folder in import_paths if folder and Path(file).is_relative_to(folder)]
    if not folders:
        return Path(file).name
    return Path(file).relative_to(max(folders, key=len)).as_posix()
