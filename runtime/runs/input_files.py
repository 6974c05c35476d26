"""Files -> the inputs of a model: photos, NumPy's `.npy` and `.npz`, `.safetensors`, and folders of them."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..artifact.errors import InputError, LayerprobeError, first_line
from ..artifact.file_reading import nothing_at, open_regular
from ..artifact.free_memory import free_bytes
from ..artifact.manifest import Input, Preprocessing
from ..artifact.plain_text import one_line
from .image_finding import IMAGE_SUFFIXES, NoImages, files_below, is_image_name

__all__ = [
    "ARRAY_SUFFIXES",
    "arrays_in",
    "as_input",
    "input_files",
    "is_photo",
    "mixture",
    "one_kind",
    "read_input_content",
    "read_input_file",
    "read_inputs",
]

ARRAY_SUFFIXES, _SAFETENSORS = (".npy", ".npz"), ".safetensors"
_LONGEST_NAME = 200
"""Of a file, in a message."""


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
    files = input_files(paths, takes_photos=preprocessing is not None)
    return {str(path): read_input_file(path, inputs, preprocessing, model) for path in files}


def input_files(paths: Sequence[Path], *, takes_photos: bool = True) -> list[Path]:
    """Return the files, and of a folder those below it of the kind that it holds, as of `one_kind`.

    Args:
        paths: files and folders.
        takes_photos: whether the model does.

    Raises:
        InputError: there is no such file or folder; or a folder holds photos and arrays.
        ImageError: a folder holds neither, or can't be listed.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            kinds = "a photo, .npy, .npz, .safetensors" if takes_photos else "a .npy, .npz or .safetensors file"
            raise InputError(f"{nothing_at(path)}\nGive {kinds}, or a folder of them.")
        if path.is_dir():
            below = one_kind(files_below(path), str(path), takes_photos=takes_photos)
            if not below:
                raise NoImages(
                    f"The folder {path} holds no images ({IMAGE_SUFFIXES}) and no arrays (.npy .npz .safetensors).\n"
                    "Name a folder that does."
                )
            found += [path / name for name in below]
        else:
            found.append(path)
    return found


def one_kind(names: Iterable[str], shown: str, *, takes_photos: bool) -> list[str]:
    """Return which files of a folder are inputs: its photos, or its `.npy` and `.npz` files; if it has neither, its
    `.safetensors` files: beside others, these are what was computed from them.

    Args:
        names: of its files.
        shown: what messages call it.
        takes_photos: whether the model does; for one that takes arrays, photos beside them are no inputs.

    Raises:
        InputError: it holds photos and arrays, and the model takes either.
    """
    photos, arrays, tensors = list[str](), list[str](), list[str]()
    for name in names:
        if is_image_name(name):
            photos.append(name)
        elif name.endswith(ARRAY_SUFFIXES):
            arrays.append(name)
        elif name.endswith(_SAFETENSORS):
            tensors.append(name)
    if takes_photos and photos and arrays:
        raise mixture(shown, {"images": photos, "arrays": arrays})
    return arrays or photos or tensors if takes_photos else arrays or tensors or photos


def mixture(shown: str, kinds: Mapping[str, Sequence[str]]) -> InputError:
    """Return the error for a folder with files of several kinds, of which only one can be meant."""
    held = " and ".join(f"{kind} ({_first(names)})" for kind, names in kinds.items())
    return InputError(f"{shown} holds {held}: only one kind is read.\nKeep each kind in a folder of its own.")


def _first(names: Sequence[str]) -> str:
    name = one_line(names[0], _LONGEST_NAME)
    return name if len(names) == 1 else f"{name} and {len(names) - 1:,} more"


def is_photo(path: Path) -> bool:
    """Return whether a file counts as a photo: it is none that holds arrays."""
    return path.suffix not in (*ARRAY_SUFFIXES, _SAFETENSORS)


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
    takes, names = _takes(inputs, model), [spec.name for spec in inputs]
    if is_photo(path):
        from .preprocessing import preprocess_files

        if preprocessing is None or len(inputs) != 1:
            raise InputError(
                f"{path} is no .npy, .npz or .safetensors file, and {takes}\n{_by_name(inputs)} writes one."
            )
        return {names[0]: as_input(preprocess_files([path], preprocessing), inputs[0])}
    with arrays_in(path, names[0]) as arrays:
        return _taken(arrays, path, inputs, takes)


def read_input_content(content: bytes, name: str, inputs: Sequence[Input], model: str) -> dict[str, NDArray[Any]]:
    """Return the inputs in the content of an `.npy` or `.npz` file, as `read_input_file` does; `name` is the file's.

    Raises:
        InputError: it can't be read, or an input is missing or unknown.
    """
    with _loaded(Path(name), inputs[0].name, BytesIO(content)) as arrays:
        return _taken(arrays, Path(name), inputs, _takes(inputs, model))


def _takes(inputs: Sequence[Input], model: str) -> str:
    return f"{model} takes {', '.join(spec.described for spec in inputs)}."


def _by_name(inputs: Sequence[Input]) -> str:
    return f"numpy.savez(file, {', '.join(f'{spec.name}=array' for spec in inputs)})"


def _taken(
    arrays: Mapping[str, NDArray[Any]], path: Path, inputs: Sequence[Input], takes: str
) -> dict[str, NDArray[Any]]:
    if set(arrays) != {spec.name for spec in inputs}:
        from .tensor_file import listed

        # In the first line, which is all that a list of broken files shows.
        raise InputError(f"{path} holds {listed(arrays)}, and {takes}\n{_by_name(inputs)} writes what it takes.")
    return {spec.name: as_input(arrays[spec.name], spec) for spec in inputs}


@contextmanager
def arrays_in(path: Path, only: str) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Yield the arrays in a file, each read on access; `only` is what the one in a `.npy` file is called."""
    if path.suffix == _SAFETENSORS:
        yield _safetensors(path)
        return
    with _loaded(path, only) as arrays:
        yield arrays


@contextmanager
def _loaded(path: Path, only: str, content: BytesIO | None = None) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Yield the arrays in a `.npy` or `.npz` file, or in its content."""
    try:
        with open_regular(path) if content is None else content as stream:
            if path.suffix == ".npz":
                _refuse_bomb(stream)
            # Nothing in the file is run: pickled objects are refused.
            loaded = np.load(stream, allow_pickle=False)
            yield {only: loaded} if isinstance(loaded, np.ndarray) else loaded
    except LayerprobeError:
        raise
    except Exception as error:  # of a damaged archive zipfile raises errors of zlib, lzma, struct and others
        # NumPy's own words recommend to load what it refuses.
        reason = "it is none, or holds Python objects" if "pickle" in str(error) else first_line(error)
        raise InputError(
            f"{path} can't be read as .npy or .npz: {reason}\nnumpy.savez(file, NAME=array) writes one."
        ) from error


def _refuse_bomb(stream: BinaryIO) -> None:
    """Refuse an archive whose arrays, unpacked, don't fit into the free memory."""
    with zipfile.ZipFile(stream) as archive:
        need, free = sum(each.file_size for each in archive.infolist()), free_bytes()
    stream.seek(0)
    if free is not None and need > free:
        raise ValueError(f"unpacked it has {need / 1e6:,.0f} MB; {free / 1e6:,.0f} MB are free.")


def _safetensors(path: Path) -> Mapping[str, NDArray[Any]]:
    from .tensor_file import INPUT_PREFIX, RUN_KEY, TensorFile

    opened = TensorFile(path)
    saved = [name for name in opened if name.startswith(INPUT_PREFIX)]
    if RUN_KEY in opened.metadata and not saved:
        raise InputError(
            f"{path} is a recorded run without its inputs.\n`layerprobe run --save-input` writes them, too."
        )
    return {name.removeprefix(INPUT_PREFIX): opened[name] for name in saved} if saved else opened


def as_input(array: NDArray[Any], spec: Input) -> NDArray[Any]:
    """Return an array with its floating-point numbers rounded to the input's dtype."""
    # A runtime takes no array of another byte order, and NumPy has no bfloat16.
    dtype = "float32" if spec.dtype == "bfloat16" else spec.dtype
    wanted = dtype if array.dtype.kind == "f" and dtype.startswith("float") else array.dtype.newbyteorder("=")
    return array.astype(wanted, order="C")
