"""What an ONNX file is called with: sizes for its open axes, and example values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from runtime.artifact.errors import InputError, ModelError
from runtime.artifact.manifest import Dimension, Input, Preprocessing, leading_input
from runtime.artifact.showing import shape_words

from .index_range import index_ranges

__all__ = ["OnnxExample", "dtypes_of", "image_size", "make_example"]

_SIZE = 224
"""Height and width in pixels where a file leaves them open."""
_IMAGE_CHANNELS = (1, 3, 4)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, as for a PyTorch model from a file."""
_OPEN = "?"


@dataclass(frozen=True)
class OnnxExample:
    """A model's inputs, and values for them."""

    inputs: tuple[Input, ...]
    """`N` for an open batch; `H` and `W` if both are open; any other axis has the example's size."""
    arrays: dict[str, NDArray[Any]]
    layouts: dict[str, str]
    """Of each input, one letter per axis."""
    own_values: bool
    """Whether the values were given, and not drawn."""
    assumed_size: bool = False
    """Whether the file leaves height or width open, and nothing was given for it."""
    notes: tuple[str, ...] = ()
    """Which axes are held fixed, though the file leaves them open."""

    @property
    def open(self) -> set[str]:
        """Which of `N`, `H` and `W` are open."""
        return {size for each in self.inputs for size in each.shape if isinstance(size, str)}

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the first image among the inputs."""
        for name, layout in self.layouts.items():
            if "H" in layout and "W" in layout:
                shape = self.arrays[name].shape
                return shape[layout.index("H")], shape[layout.index("W")]
        return None

    def held(self, symbols: str) -> "OnnxExample":
        """Return the same with some of `N`, `H` and `W` fixed at the example's sizes."""
        inputs = tuple(
            each.model_copy(
                update={
                    "shape": tuple(
                        length if isinstance(symbol, str) and symbol in symbols else symbol
                        for symbol, length in zip(each.shape, self.arrays[each.name].shape, strict=True)
                    )
                }
            )
            for each in self.inputs
        )
        return replace(self, inputs=inputs)

    @property
    def image(self) -> str | None:
        """The input that takes images: the only one, of four axes and one or three channels."""
        if len(self.inputs) != 1 or not self.inputs[0].dtype.startswith("float"):
            return None
        layout, shape = self.layouts[self.inputs[0].name], self.arrays[self.inputs[0].name].shape
        return self.inputs[0].name if "C" in layout and "H" in layout and shape[layout.index("C")] in (1, 3) else None

    @property
    def pixels(self) -> str | None:
        """The input that takes pixels: the only one, uint8, of four axes and one or three channels."""
        if len(self.inputs) != 1 or self.inputs[0].dtype != "uint8":
            return None
        layout, shape = self.layouts[self.inputs[0].name], self.arrays[self.inputs[0].name].shape
        return self.inputs[0].name if "C" in layout and shape[layout.index("C")] in (1, 3) else None

    def drawn(self, seed: int, *, batch: int | None = None, size: tuple[int, int] | None = None) -> dict[str, Any]:
        """Return other values: noise for floats and pixels, and the example's own for what may be an index.

        Args:
            seed: of the noise.
            batch: where it is open.
            size: height and width, where both are open.
        """
        sizes = {"N": batch, "H": size and size[0], "W": size and size[1]}
        drawn = {}
        for number, each in enumerate(self.inputs):
            array = self.arrays[each.name]
            shape = tuple(
                (isinstance(symbol, str) and sizes.get(symbol)) or present
                for symbol, present in zip(each.shape, array.shape, strict=True)
            )
            if each.name == self.pixels and not self.own_values:
                drawn[each.name] = _drawn(shape, array.dtype, seed, 1)
            elif self.own_values or array.dtype.kind != "f":
                drawn[each.name] = np.resize(array, shape) if shape != array.shape else array
            else:
                drawn[each.name] = _noise(shape, array.dtype, seed + 100 * number)
        return drawn

    def preprocessing(self, mean: Sequence[float] | None, std: Sequence[float] | None) -> Preprocessing | None:
        """Return how a photo becomes the input; None if the model takes no image.

        Raises:
            InputError: the mean or the standard deviation has another number of channels.
        """
        if self.image is None:
            if mean or std:
                raise InputError("The model isn't called with a single image: omit --mean and --std.")
            return None
        layout, shape = self.layouts[self.image], self.arrays[self.image].shape
        channels = shape[layout.index("C")]
        height, width = (shape[layout.index(axis)] for axis in "HW")
        if any(given and len(given) != channels for given in (mean, std)):
            raise InputError(f"The model takes {channels} channels: pass that many numbers for --mean and --std.")
        return Preprocessing(
            resize=min(height, width),
            crop=(height, width),
            mean=list(mean or _MEAN[:channels]),
            std=list(std or _STD[:channels]),
            layout="NHWC" if layout == "NHWC" else "NCHW",
        )


def make_example(
    file: Path,
    graph: onnx.GraphProto,
    size: Sequence[int] = (),
    given: Mapping[str, NDArray[Any]] | None = None,
) -> OnnxExample:
    """Return what a model is called with.

    Args:
        file: the model, for messages.
        graph: the model's.
        size: height and width of images, where they are open; 224 by default.
        given: values for all inputs, by name.

    Raises:
        ModelError: an input isn't a tensor of numbers, or nothing says how long one of its axes is.
        InputError: what was given doesn't fit.
    """
    shapes, dtypes = {}, dtypes_of(file, graph)
    for value in graph.input:
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            shapes[value.name] = [max(each.dim_value, 0) or each.dim_param or _OPEN for each in tensor.shape.dim]
        elif not given:
            raise ModelError(f"{file} doesn't say how many axes its input {value.name!r} has: give --input F.npy.")
    if given is not None:
        shapes = _shapes_of(file, shapes, dtypes, given)
    names = list(dtypes)
    leading = leading_input([shapes[name] for name in names])
    layouts = {
        name: _layout(shapes[name], leading=index == leading, dtype=dtypes[name]) for index, name in enumerate(names)
    }
    inputs, arrays, notes, rows = [], {}, [], index_ranges(graph)
    batch_symbol = shapes[names[leading]][0] if leading is not None else None
    for number, name in enumerate(names):
        symbols = _symbols(shapes[name], layouts[name], batch_symbol)
        if given is not None:
            concrete = given[name].shape
        else:
            concrete = tuple(
                _concrete(file, name, each, symbol, size) for each, symbol in zip(shapes[name], symbols, strict=True)
            )
        arrays[name] = given[name] if given is not None else _drawn(concrete, dtypes[name], number, rows.get(name, 1))
        held = tuple(
            symbol if isinstance(symbol, str) and symbol in "NHW" else length
            for symbol, length in zip(symbols, concrete, strict=True)
        )
        inputs.append(Input(name=name, shape=held, dtype=dtypes[name].name))
        notes += [
            f"axis {place} of its input {name} is fixed at {length}, though the file leaves it open"
            for place, (symbol, length) in enumerate(zip(symbols, held, strict=True))
            if isinstance(symbol, str) and symbol != length
        ]
    open_image = any(
        str(each)[:1] in ("H", "W") for name in names for each in _symbols(shapes[name], layouts[name], None)
    )
    assumed = open_image and given is None and not size
    return OnnxExample(tuple(inputs), arrays, layouts, given is not None, assumed, tuple(notes))


def image_size(graph: onnx.GraphProto) -> tuple[int, ...]:
    """Return channels, height and width of a model's first image, or height and width; nothing if these are open."""
    for value in graph.input:
        lengths = [max(each.dim_value, 0) for each in value.type.tensor_type.shape.dim]
        if len(lengths) == 4:
            layout = _layout(lengths, leading=True, dtype=np.dtype(np.float32))
            channels, height, width = (lengths[layout.index(axis)] for axis in "CHW")
            return () if not (height and width) else (channels, height, width) if channels else (height, width)
    return ()


def dtypes_of(file: Path, graph: onnx.GraphProto) -> dict[str, np.dtype[Any]]:
    """Return the dtypes of a graph's inputs by name.

    Raises:
        ModelError: it has none, or one that isn't a tensor of numbers.
    """
    if not graph.input:
        raise ModelError(f"{file} has no input: it computes a constant.")
    dtypes = {}
    for value in graph.input:
        type_ = value.type.tensor_type.elem_type
        if value.type.WhichOneof("value") != "tensor_type" or type_ in (0, TensorProto.STRING):
            raise ModelError(f"{file}: the input {value.name!r} is no tensor of numbers.")
        dtype = dtypes[value.name] = np.dtype(helper.tensor_dtype_to_np_dtype(type_))
        if dtype.kind not in "fiub" and dtype.name != "bfloat16":
            raise ModelError(f"{file}: its input {value.name!r} is of {dtype.name}, which is not supported.")
    return dtypes


def _shapes_of(
    file: Path,
    shapes: Mapping[str, list[Dimension]],
    dtypes: Mapping[str, np.dtype[Any]],
    given: Mapping[str, NDArray[Any]],
) -> dict[str, list[Dimension]]:
    """Return the shapes, of which only the rank may be missing, after a look at what was given."""
    found: dict[str, list[Dimension]] = {}
    for name, dtype in dtypes.items():
        if name not in given:
            raise InputError(f"{file} takes {', '.join(dtypes)}; the input {name!r} is missing.")
        array, shape = given[name], shapes.get(name, [_OPEN] * given[name].ndim)
        fits = len(shape) == array.ndim and all(
            isinstance(want, str) or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype != dtype:
            wanted = shape_words(shape)
            have = shape_words(array.shape)
            raise InputError(
                f"{file} takes {name} of {wanted}, {dtype.name}; what was given is {have}, {array.dtype.name}."
            )
        found[name] = list(shape)
    return found


def _layout(shape: Sequence[Dimension], *, leading: bool, dtype: np.dtype[Any]) -> str:
    """Return the letters of an input's axes: an image's channels are where its shape has as many as images have."""
    first = "N" if leading else "?"
    if len(shape) == 4 and dtype.kind in "fu":
        last_only = shape[3] in _IMAGE_CHANNELS and shape[1] not in _IMAGE_CHANNELS
        return f"{first}HWC" if last_only else f"{first}CHW"
    # Integers are indices into a table, one after the other.
    known = {2: "C", 5: "CDHW"} if dtype.kind not in "iub" else {}
    rest = known.get(len(shape), "?" * (len(shape) - 1))
    return (first + rest)[: len(shape)]


def _symbols(shape: Sequence[Dimension], layout: str, batch: Dimension | None) -> list[Dimension]:
    """Return the shape with `N`, `H` and `W` where these are open."""
    both = all(isinstance(size, str) for size, axis in zip(shape, layout, strict=True) if axis in "HW")
    symbols: list[Dimension] = []
    for place, (each, axis) in enumerate(zip(shape, layout, strict=True)):
        if isinstance(each, int):
            symbols.append(each)
        elif axis == "N" or (place == 0 and each == batch and isinstance(batch, str)):
            symbols.append("N")
        else:
            symbols.append(axis if axis in "HW" and both else f"{axis}{_OPEN}")
    return symbols


def _concrete(file: Path, name: str, given: Dimension, symbol: Dimension, size: Sequence[int]) -> int:
    if isinstance(symbol, int):
        return symbol
    if symbol == "N":
        return 1
    if symbol[0] in "HW":
        height, width = list(size)[-2:] or (_SIZE, _SIZE)
        return height if symbol[0] == "H" else width
    raise ModelError(
        f"{file}: an axis of its input {name!r} is open ({given}), and nothing says how long it is.\n"
        "Give --input F.npy or F.npz, with values for all inputs."
    )


def _drawn(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int, rows: int) -> NDArray[Any]:
    if dtype.kind not in "iub":
        return _noise(shape, dtype, seed)
    if dtype == np.uint8 and len(shape) == 4:
        return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    # Anything could be an index out of its table's range, if that isn't known.
    return np.random.default_rng(seed).integers(0, rows, shape).astype(dtype)


def _noise(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int) -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32).astype(dtype)
