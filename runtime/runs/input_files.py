"""Files -> the inputs of a model: photos, NumPy's `.npy` and `.npz`, `.safetensors`, and folders of them."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import InputError, first_line
from ..artifact.manifest import Input, Preprocessing

__all__ = ["input_files", "is_photo", "read_input_file", "read_inputs"]

_NUMPY, _SAFETENSORS = (".npy", ".npz"), ".safetensors"


def read_inputs(
    paths: Sequence[Path], inputs: Sequence[Input], preprocessing: Preprocessing | None, model: str
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the inputs in each file, by the file's path and then by the input's name.

    Args:
        paths: files or folders, as of `input_files`.
        inputs: of the model.
        preprocessing: how a photo becomes the input; None if the model takes none.
        model: its name, for messages.

    Raises:
        InputError: a file can't be read, or an input is missing or unknown.
        ImageError: a photo can't be read.
    """
    return {str(path): read_input_file(path, inputs, preprocessing, model) for path in input_files(paths)}


def input_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files, and of a folder its `.npy` and `.npz` files, or else its photos, in the order of their names;
    its `.safetensors` files if it has no others: beside photos, they are what was computed from them.

    Raises:
        InputError: there is no such file or folder.
        ImageError: a folder has neither arrays nor photos.
    """
    from .image_reading import find_images

    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(
                f"{path} is neither a file nor a folder: give a photo, .npy, .npz, .safetensors, or a folder of them."
            )
        within = sorted(path.iterdir()) if path.is_dir() else []
        arrays = [each for each in within if each.suffix in _NUMPY]
        if within and all(each.suffix == _SAFETENSORS for each in within):
            arrays = within
        found += arrays or ([path] if path.is_file() and not is_photo(path) else find_images([path]))
    return found


def is_photo(path: Path) -> bool:
    """Return whether a file counts as a photo: it is none that holds arrays."""
    return path.suffix not in (*_NUMPY, _SAFETENSORS)


def read_input_file(
    path: Path, inputs: Sequence[Input], preprocessing: Preprocessing | None, model: str
) -> dict[str, NDArray[Any]]:
    """Return the inputs in one file by name.

    A `.npy` file holds the only input, an `.npz` or `.safetensors` file all by their names; floating-point numbers are
    rounded to the input's dtype. In what `layerprobe run --save-input` wrote, they are beside the outputs. Any other
    file is a photo.

    Raises:
        InputError: the file can't be read, or an input is missing or unknown.
        ImageError: the photo can't be read.
    """
    takes = f"{model} takes {', '.join(spec.described for spec in inputs)}."
    names = [spec.name for spec in inputs]
    by_name = f"numpy.savez(file, {', '.join(f'{name}=array' for name in names)})"
    if is_photo(path):
        from .preprocessing import preprocess_files

        if preprocessing is None or len(inputs) != 1:
            raise InputError(f"{takes}\n{path} is no .npy, .npz or .safetensors file: {by_name} writes one.")
        return {names[0]: _as_input(preprocess_files([path], preprocessing), inputs[0])}
    arrays = _safetensors(path) if path.suffix == _SAFETENSORS else _numpy(path, names[0])
    if set(arrays) != set(names):
        from .tensor_file import listed

        raise InputError(f"{takes}\n{path} has {listed(arrays)}: {by_name}")
    return {spec.name: _as_input(arrays[spec.name], spec) for spec in inputs}


def _numpy(path: Path, only: str) -> Mapping[str, NDArray[Any]]:
    try:
        # Nothing in the file is run: pickled objects are refused.
        loaded = np.load(path, allow_pickle=False)
        return {only: loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} can't be read as .npy or .npz: {first_line(error)}\nnumpy.savez(file, NAME=array) writes one."
        ) from error


def _safetensors(path: Path) -> Mapping[str, NDArray[Any]]:
    from .tensor_file import INPUT_PREFIX, RUN_KEY, TensorFile

    opened = TensorFile(path)
    saved = [name for name in opened if name.startswith(INPUT_PREFIX)]
    if RUN_KEY in opened.metadata and not saved:
        raise InputError(
            f"{path} is a recorded run without its inputs.\n`layerprobe run --save-input` writes them, too."
        )
    return {name.removeprefix(INPUT_PREFIX): opened[name] for name in saved} if saved else opened


def _as_input(array: NDArray[Any], spec: Input) -> NDArray[Any]:
    # A runtime takes no array of another byte order, and NumPy has no bfloat16.
    dtype = "float32" if spec.dtype == "bfloat16" else spec.dtype
    wanted = dtype if array.dtype.kind == "f" and dtype.startswith("float") else array.dtype.newbyteorder("=")
    return array.astype(wanted, order="C")
