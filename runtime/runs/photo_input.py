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
from .image_reading import upright_rgb
from .input_files import as_input, read_input_file
from .preprocessing import preprocess_image

__all__ = ["photo_inputs", "photo_name"]

_CHANNELS = (1, 3, 4)
"""Of pixels: grey, RGB, and RGB with transparency."""


def photo_inputs(
    photo: Any, inputs: Sequence[Input], preprocessing: Preprocessing | None, model: str
) -> dict[str, NDArray[Any]]:
    """Return the inputs by name.

    Args:
        photo: an image file, or a `.npy`, `.npz` or `.safetensors` file, by its path; a picture of Pillow's; pixels as
            uint8, H W, H W C or C H W, with 1, 3 or 4 channels; what the model is called with, as an array or tensor
            (N C H W for images); or several of these by the names of the inputs.
        inputs: of the model.
        preprocessing: how a photo becomes the input; None if the model takes none.
        model: its name, for messages.

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
    image = photo if isinstance(photo, Image.Image) else _image_of(as_array(photo))
    picture = isinstance(image, Image.Image)
    if len(inputs) != 1 or (picture and preprocessing is None):
        by_name = ", ".join(f'"{name}": array' for name in names)
        raise InputError(f"{takes}\nGive arrays or tensors by name: {{{by_name}}}.")
    if isinstance(image, Image.Image):
        assert preprocessing is not None
        image = preprocess_image(upright_rgb(image), preprocessing)
    # One image is drawn: the first.
    batch = image[None] if image.ndim + 1 == len(inputs[0].shape) else image[:1]
    return {names[0]: as_input(batch, inputs[0])}


def photo_name(photo: Any) -> str:
    """Return what a photo is called in a title; nothing for one in memory."""
    return Path(photo).name if isinstance(photo, str | Path) else ""


def _image_of(array: NDArray[Any]) -> Image.Image | NDArray[Any]:
    """Return pixels as a picture, and what the model is called with as it is.

    Raises:
        InputError: it is neither.
    """
    if array.dtype != np.uint8:
        if array.dtype.kind not in "fiub" or array.ndim == 0:
            raise InputError(f"A photo is a path, a picture, an array or a tensor; this is {array.dtype} of no shape.")
        if array.ndim == 3 and array.shape[2] in _CHANNELS and array.shape[0] not in _CHANNELS:
            raise InputError(
                f"Pixels are uint8; these are {array.dtype}, {shape_words(array.shape)}.\n"
                "From 0 to 1: (255 * pixels).astype('uint8'). Already preprocessed: N C H W."
            )
        return array
    if array.ndim == 3 and array.shape[0] in _CHANNELS and array.shape[2] not in _CHANNELS:
        array = array.transpose(1, 2, 0)  # as torchvision.io.read_image returns it
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS) or not array.size:
        raise InputError(f"Pixels are H W, H W C or C H W, with 1, 3 or 4 channels, not {shape_words(array.shape)}.")
    pixels = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    return Image.fromarray(np.ascontiguousarray(pixels))
