"""ONNX file and the user's own inputs -> probe: what `nodes`, `export` and `verify` do with a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from runtime.artifact.errors import InputError, ModelError, UsageError
from runtime.artifact.manifest import Input, Preprocessing
from runtime.runs.input_files import read_inputs

from .example import OnnxExample, dtypes_of, make_example
from .pixel_input import on_pixels
from .probing import OnnxProbe, probe_onnx
from .reading import SoundModel, read_sound_model

__all__ = ["LoadedOnnx", "load_onnx"]


@dataclass(frozen=True)
class LoadedOnnx:
    """The probe of an ONNX file, and what is known of its inputs."""

    probe: OnnxProbe
    preprocessing: Preprocessing | None
    """How a photo becomes the input; None if the model takes none."""
    given: dict[str, dict[str, NDArray[Any]]]
    """The user's own inputs: by file, arrays by the inputs' names."""


def load_onnx(
    file: str | Path,
    *,
    inputs: Sequence[Path] = (),
    size: Sequence[int] = (),
    default_size: Sequence[int] = (),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    in_model: bool = False,
) -> LoadedOnnx:
    """Return the probe of an ONNX file of whatever origin.

    Args:
        file: the file.
        inputs: photos, `.npy` and `.npz` files, and folders of them, that the model is to be tried on.
        size: height and width of images in pixels, where the file leaves them open; 224 by default.
        default_size: likewise, of no matter where the file says it itself.
        mean: per channel, for photos; ImageNet's by default.
        std: likewise.
        in_model: write these into the model, which then takes a photo's cropped pixels, uint8, N H W C.

    Raises:
        UsageError: `in_model` is set, and the model takes no photo.
        ModelError: it isn't a sound model, can't be evaluated, or nothing says how long an axis of its inputs is.
        InputError: what was given doesn't fit.
        ImageError: a photo can't be read.
    """
    sound = read_sound_model(Path(file))
    example, given = _inputs(sound, inputs, size or default_size, mean, std)
    if size and example.size != tuple(size[-2:]):
        takes = "images of {} x {}".format(*example.size) if example.size else "no image"
        raise InputError(f"{file} takes {takes}, whatever --input-size says: omit it.")
    preprocessing = example.preprocessing(mean, std)
    if in_model:
        if preprocessing is None or example.image is None:
            takes = ", ".join(each.described for each in example.inputs)
            raise UsageError(
                f"{file} takes {takes}: no photo that is yet to be normalised.\nOmit --preprocessing-in-model."
            )
        sound = on_pixels(sound, example.image, preprocessing)
        preprocessing = preprocessing.on_pixels()
        example, given = _inputs(sound, inputs, size or default_size, None, None, preprocessing)
    return LoadedOnnx(probe_onnx(sound, example), preprocessing, given)


def _inputs(
    sound: SoundModel,
    paths: Sequence[Path],
    size: Sequence[int],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    preprocessing: Preprocessing | None = None,
) -> tuple[OnnxExample, dict[str, dict[str, NDArray[Any]]]]:
    file, graph = sound.file.path, sound.model.graph
    shapes = {
        value.name: [max(size.dim_value, 0) or size.dim_param or "?" for size in value.type.tensor_type.shape.dim]
        for value in graph.input
    }
    specs = [
        Input(name=name, shape=tuple(shapes[name]), dtype=dtype.name) for name, dtype in dtypes_of(file, graph).items()
    ]
    try:
        example = make_example(file, graph, size)
    except ModelError:
        if not paths:
            raise
        # What is given says how long its axes are.
        given = read_inputs(paths, specs, None, file.name)
        return make_example(file, graph, size, next(iter(given.values()))), given
    given = read_inputs(paths, specs, preprocessing or example.preprocessing(mean, std), file.name)
    first: Mapping[str, NDArray[Any]] | None = next(iter(given.values()), None)
    return (make_example(file, graph, size, first) if first is not None else example), given
