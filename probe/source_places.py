"""Places in a model's own source: which files those are, and how they are told without a home folder."""

import os
import sys
import traceback
from pathlib import Path

import torch

__all__ = ["is_model_code", "place_of", "portable_path"]

_NOT_MODEL_CODE = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent}{os.sep}", "<")
# The built-in CNNs are models like any other.
_BUILT_IN = str(Path(__file__).parent / "variants.py")


def is_model_code(file: str) -> bool:
    """Tell whether a source file is a model's own, and not torch's or ours."""
    return file == _BUILT_IN or not file.startswith(_NOT_MODEL_CODE)


def portable_path(file: str) -> str:
    """Return `file` relative to the import path that holds it, so that no artifact tells of a home folder."""
    folders = [folder for folder in sys.path if folder and Path(file).is_relative_to(folder)]
    if not folders:
        return Path(file).name
    return Path(file).relative_to(max(folders, key=len)).as_posix()


def place_of(error: BaseException) -> str:
    """Return ` (file:line)` of the model's own line that an error was raised from, or nothing if there is none."""
    for entry in reversed(traceback.extract_tb(error.__traceback__)):
        if is_model_code(entry.filename):
            return f" ({portable_path(entry.filename)}:{entry.lineno})"
    return ""
