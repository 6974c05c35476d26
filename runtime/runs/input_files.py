"""Files -> the inputs of a model: photos, NumPy's `.npy` and `.npz`, and folders of them."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import InputError, first_line
from ..artifact.manifest import Input, Preprocessing

__all__ = ["read_inputs"]

_NUMPY = (".npy", ".npz")


def read_inputs(
    paths: Sequence[Path], inputs: Sequence[Input], preprocessing: Preprocessing | None, model: str
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the inputs in each file, by the file's path and then by the input's name.

    A `.npy` file holds the only input, an `.npz` file all by their names; floating-point numbers are rounded to the
    input's dtype. Any other file is a photo.

    Args:
        paths: files, or folders whose `.npy` and `.npz` files, or else photos, are read in the order of their names.
        inputs: of the model.
        preprocessing: how a photo becomes the input; None if the model takes none.
        model: its name, for messages.

    Raises:
        InputError: a file can't be read, or an input is missing or unknown.
        ImageError: a photo can't be read.
    """
    return {str(path): _read(path, inputs, preprocessing, model) for path in _files(paths)}


def _files(paths: Sequence[Path]) -> list[Path]:
    from .image_reading import find_images

    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} is neither a file nor a folder: give a photo, .npy, .npz, or a folder of them.")
        arrays = sorted(each for each in path.iterdir() if each.suffix in _NUMPY) if path.is_dir() else []
        found += arrays or ([path] if path.suffix in _NUMPY else find_images([path]))
    return found


def _read(
    path: Path, inputs: Sequence[Input], preprocessing: Preprocessing | None, model: str
) -> dict[str, NDArray[Any]]:
    takes = f"{model} takes {', '.join(spec.described for spec in inputs)}."
    if path.suffix not in _NUMPY:
        from .preprocessing import preprocess_files

        if preprocessing is None or len(inputs) != 1:
            by_name = ", ".join(f"{spec.name}=array" for spec in inputs)
            raise InputError(f"{takes}\n{path} is no .npy or .npz file: numpy.savez(file, {by_name}) writes one.")
        return {inputs[0].name: _as_input(preprocess_files([path], preprocessing), inputs[0])}
    try:
        # Nothing in the file is run: pickled objects are refused.
        loaded = np.load(path, allow_pickle=False)
        arrays: Mapping[str, NDArray[Any]] = (
            {inputs[0].name: loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        )
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} can't be read as .npy or .npz: {first_line(error)}\nnumpy.savez(file, NAME=array) writes one."
        ) from error
    names = [spec.name for spec in inputs]
    if set(arrays) != set(names):
        raise InputError(
            f"{takes}\n{path} has {', '.join(arrays) or 'nothing'}: "
            f"numpy.savez(file, {', '.join(f'{name}=array' for name in names)})"
        )
    return {spec.name: _as_input(arrays[spec.name], spec) for spec in inputs}


def _as_input(array: NDArray[Any], spec: Input) -> NDArray[Any]:
    # A runtime takes no array of another byte order, and NumPy has no bfloat16.
    dtype = "float32" if spec.dtype == "bfloat16" else spec.dtype
    wanted = dtype if array.dtype.kind == "f" and dtype.startswith("float") else array.dtype.newbyteorder("=")
    return array.astype(wanted, order="C")
