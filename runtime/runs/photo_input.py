"""What a user has of a photo -> the inputs of a model: a file, a picture in memory, pixels, or tensors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..artifact.errors import InputError
from ..artifact.manifest import Input, Preprocessing
from ..artifact.showing import shape_words
from ..artifact.tensors import as_array
from .image_reading import read_image, upright_rgb
from .input_files import as_input, is_photo, read_input_file
from .preprocessing import preprocess_files

__all__ = ["IMAGE_CHANNELS", "as_picture", "photo_inputs", "photo_name"]

IMAGE_CHANNELS = (1, 3, 4)
"""Of pixels: grey, RGB, and RGB with transparency."""


_TAKEN = (
    "A photo is an image file, a picture of Pillow's, pixels (uint8), a tensor (N C H W), or a model's inputs by name"
)


def as_picture(photo: Any) -> Image.Image | None:
    """Return a photo, as of `photo_inputs`, as `read_image` reads it from a file; None if it is tensors.

    Raises:
        InputError: it is neither.
        ImageError: it can't be read.
    """
    if isinstance(photo, list | tuple) and any(isinstance(each, str | Path | Image.Image) for each in photo):
        raise InputError(
            f"{_TAKEN}, not a {type(photo).__name__} of {len(photo)}.\n"
            "One call draws one photo. Several side by side: layerprobe grid MODEL PHOTO PHOTO -o maps.png"
        )
    if isinstance(photo, str | Path):
        return read_image(photo) if is_photo(Path(photo)) else None
    if isinstance(photo, Image.Image):
        return upright_rgb(photo)
    array = None if isinstance(photo, Mapping) else as_array(photo)
    if array is None or array.dtype != np.uint8:
        return None
    if array.ndim == 3 and array.shape[0] in IMAGE_CHANNELS and array.shape[2] not in IMAGE_CHANNELS:
        array = array.transpose(1, 2, 0)  # as torchvision.io.read_image returns it
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in IMAGE_CHANNELS) or not array.size:
        raise InputError(f"Pixels are H W, H W C or C H W, with 1, 3 or 4 channels, not {shape_words(array.shape)}.")
    pixels = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    return upright_rgb(Image.fromarray(np.ascontiguousarray(pixels)))


def photo_inputs(
    photo: Any, inputs: Sequence[Input], preprocessing: Preprocessing | None, model: str, name: str = ""
) -> dict[str, NDArray[Any]]:
    """Return the inputs by name.

    Args:
        photo: an image file, or a `.npy`, `.npz` or `.safetensors` file, by its path; a picture of Pillow's; pixels as
            uint8, H W, H W C or C H W, with 1, 3 or 4 channels; what the model is called with, as an array or tensor
            (N C H W for images); or several of these by the names of the inputs.
        inputs: of the model.
        preprocessing: how a photo becomes the input; None if the model takes none.
        model: its name, for messages.
        name: the photo's, likewise.

    Raises:
        InputError: it is none of these, or the model takes no photo.
        ImageError: a photo can't be read.
    """
    if isinstance(photo, str | Path):
        return read_input_file(Path(photo), inputs, preprocessing, model)
    names = [each.name for each in inputs]
    takes = f"{model} takes {', '.join(each.described for each in inputs)}."
    if isinstance(photo, Mapping):
        if set(photo) != set(names):
            raise InputError(f"{takes}\nIt was given {', '.join(map(str, photo)) or 'nothing'}.")
        return {each.name: as_input(as_array(photo[each.name]), each) for each in inputs}
    picture = as_picture(photo)
    if len(inputs) != 1 or (picture and preprocessing is None):
        by_name = ", ".join(f'"{name}": array' for name in names)
        raise InputError(f"{takes}\nGive arrays or tensors by name: {{{by_name}}}.")
    if picture and preprocessing:
        return {
            names[0]: as_input(preprocess_files([name or "the photo"], preprocessing, lambda _: picture), inputs[0])
        }
    array = _checked(as_array(photo), "None" if photo is None else f"one {type(photo).__name__}")
    # One image is drawn: the first.
    first = array[None] if array.ndim + 1 == len(inputs[0].shape) else array[:1]
    return {names[0]: as_input(first, inputs[0])}


def photo_name(photo: Any, otherwise: str = "the photo") -> str:
    """Return the name of a photo's file, for a picture."""
    return Path(photo).name if isinstance(photo, str | Path) else otherwise


def _checked(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return what a model may be called with; `what` it was made of is for messages.

    Raises:
        InputError: it is nothing of the kind.
    """
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise InputError(f"{_TAKEN}, not {what}{'' if array.dtype.kind not in 'fiub' else ' without axes'}.")
    if array.ndim == 3 and array.shape[2] in IMAGE_CHANNELS and array.shape[0] not in IMAGE_CHANNELS:
        raise InputError(
            f"Pixels are uint8; these are {array.dtype}, {shape_words(array.shape)}.\n"
            "From 0 to 1: (255 * pixels).astype('uint8'). Already preprocessed: N C H W."
        )
    return array
