"""A source's inputs -> the candidate's: by name or place, in its layout and dtype; and what else it may want.

A file that was exported with the preprocessing inside, or for another order of channels, is recognised by what its
first operations compute when it is given that.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from probe.onnx_model.example import dtypes_of
from runtime.artifact.errors import InputError
from runtime.artifact.manifest import Input, Preprocessing

__all__ = ["InputMap", "map_inputs", "other_inputs"]

_Arrays = Mapping[str, NDArray[Any]]


_Made = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Change:
    """What a candidate wants in place of its source's input."""

    described: str
    """In words."""
    made: _Made
    undone: _Made


@dataclass(frozen=True)
class InputMap:
    """How the source's inputs become the candidate's."""

    names: dict[str, str]
    """The candidate's input to the source's."""
    orders: dict[str, tuple[int, ...] | None]
    """By the candidate's input: the order of the source's axes; None where it is the same."""
    dtypes: dict[str, np.dtype[Any]]
    shapes: dict[str, list[int | None] | None]
    """What the candidate's file says of them; None for what it leaves open."""
    change: "Change | None" = None
    """What else is done to the first input."""

    def apply(self, arrays: _Arrays) -> dict[str, NDArray[Any]]:
        """Return the candidate's inputs for those of the source."""
        given = {}
        for place, (mine, theirs) in enumerate(self.names.items()):
            array = arrays[theirs]
            if self.change is not None and not place:
                array = self.change.made(array)
            order = self.orders[mine]
            moved = array if order is None else array.transpose(order)
            given[mine] = np.ascontiguousarray(_as_dtype(moved, self.dtypes[mine]))
        return given

    def whole(self, arrays: _Arrays) -> dict[str, NDArray[Any]]:
        """Return the source's inputs as near as the candidate can be given them: what it takes as integers is whole."""
        given, result = self.apply(arrays), dict(arrays)
        for place, (mine, theirs) in enumerate(self.names.items()):
            array, order = arrays[theirs], self.orders[mine]
            if self.dtypes[mine].kind not in "iu" or array.dtype.kind != "f":
                continue
            taken = given[mine].astype(np.float64)
            moved = taken if order is None else taken.transpose(np.argsort(order))
            back = self.change.undone(moved) if self.change is not None and not place else moved
            result[theirs] = np.ascontiguousarray(back.astype(array.dtype))
        return result

    def fitted(self, arrays: _Arrays, specs: Sequence[Input]) -> dict[str, NDArray[Any]] | None:
        """Return the source's inputs in the candidate's batch, if that is held; None if their sizes don't fit."""
        wanted = {theirs: self._wanted(mine) for mine, theirs in self.names.items()}
        given = {}
        for spec in specs:
            array, shape = arrays[spec.name], wanted[spec.name]
            if shape and array.ndim and spec.shape[0] == "N" and shape[0] is not None:
                array = _of_batch(array, shape[0])
            if shape is not None and any(
                size not in (None, have) for size, have in zip(shape, array.shape, strict=True)
            ):
                return None
            given[spec.name] = array
        return given

    def _wanted(self, name: str) -> list[int | None] | None:
        """Return the shape of one of the candidate's inputs in the order of the source's axes."""
        shape, order = self.shapes[name], self.orders[name]
        return shape if shape is None or order is None else [shape[order.index(axis)] for axis in range(len(order))]


def _of_batch(array: NDArray[Any], length: int) -> NDArray[Any]:
    """Return as many elements along the first axis: what is missing are the others, moved along the last axis."""
    repeats = -(-length // len(array))
    copies = [np.roll(array, copy, -1) if array.ndim > 1 else array for copy in range(repeats)]
    return np.concatenate(copies)[:length]


def map_inputs(candidate: str, graph: onnx.GraphProto, inputs: Sequence[Input], arrays: _Arrays) -> InputMap:
    """Return how the inputs of a source become those of a candidate.

    Args:
        candidate: its name, for messages.
        graph: its graph.
        inputs: of the source.
        arrays: values for them.

    Raises:
        InputError: it takes another number of inputs, or one of another shape.
        ModelError: one of them is no tensor of numbers.
    """
    names = [value.name for value in graph.input]
    if len(names) != len(inputs):
        raise InputError(
            f"{candidate} takes {len(names)} inputs ({', '.join(names)}), and its source "
            f"{len(inputs)} ({', '.join(each.name for each in inputs)}): they can't be of the same model."
        )
    theirs = [each.name for each in inputs]
    paired = dict(zip(names, names if set(names) == set(theirs) else theirs, strict=True))
    orders, shapes = {}, {}
    for value in graph.input:
        tensor = value.type.tensor_type
        shape = [max(each.dim_value, 0) or None for each in tensor.shape.dim] if tensor.HasField("shape") else None
        given = arrays[paired[value.name]].shape
        order = _order(shape, given)
        if order == ():
            wanted = " x ".join("?" if size is None else str(size) for size in shape or ())
            raise InputError(
                f"{candidate} takes {value.name} of {wanted}, and its source {paired[value.name]} of "
                f"{' x '.join(map(str, given))}.\n"
                "Give both the same size: --input-size sets the source's, and an export of it the artifact's."
            )
        orders[value.name], shapes[value.name] = order, shape
    return InputMap(paired, orders, dtypes_of(Path(candidate), graph), shapes)


def _order(shape: Sequence[int | None] | None, given: Sequence[int]) -> tuple[int, ...] | None:
    """Return the order of the axes in which an input fits; None if it fits as it is, nothing if it doesn't."""

    def fits(order: Sequence[int]) -> bool:
        # The batch may differ: the first axis of the reference is as long as it was recorded.
        return shape is None or all(
            size is None or size == given[axis] or place == 0
            for place, (size, axis) in enumerate(zip(shape, order, strict=True))
        )

    if shape is None or (len(shape) == len(given) and fits(range(len(given)))):
        return None
    if len(shape) == len(given):
        for order in ((0, 2, 3, 1), (0, 3, 1, 2)):
            if len(given) == 4 and fits(order):
                return order
    return ()


def other_inputs(inputs: InputMap, preprocessing: Preprocessing | None, shape: Sequence[int]) -> Iterator[InputMap]:
    """Yield other ways to give a candidate what it may want: another order of channels, another scale.

    Args:
        inputs: the way of the source.
        preprocessing: of the source's photos.
        shape: of the source's first input.
    """
    if len(shape) != 4:
        return
    channels = next((axis for axis in (1, 3) if shape[axis] in (1, 3, 4)), None)
    if channels is None:
        return
    along = [1] * 4
    along[channels] = shape[channels]

    def of(described: str, made: _Made, undone: _Made) -> InputMap:
        return replace(inputs, change=Change(described, made, undone))

    def reversed_(array: NDArray[Any]) -> NDArray[Any]:
        return np.flip(array, channels)

    if shape[channels] > 1:
        yield of("the input's channels reversed (BGR for RGB)", reversed_, reversed_)
    yield of("the input times 255 (pixels of 0 to 255)", lambda array: array * 255, lambda array: array / 255)
    yield of("the input divided by 255 (pixels of 0 to 1)", lambda array: array / 255, lambda array: array * 255)
    if preprocessing is None or preprocessing.depth != shape[channels]:
        return
    mean, std = (
        np.reshape(each, along) for each in (preprocessing.normalisation.mean, preprocessing.normalisation.std)
    )

    def pixels(array: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(array * std + mean)

    def normalised(array: NDArray[Any]) -> NDArray[Any]:
        return np.asarray((array - mean) / std)

    if preprocessing.in_model:
        yield of(
            "the input normalised (the mean and std are not inside)",
            lambda array: normalised(array / 255),
            lambda array: pixels(array) * 255,
        )
        return
    yield of("the input without mean and std (pixels of 0 to 1, normalised inside)", pixels, normalised)
    yield of(
        "the input without mean and std (pixels of 0 to 255, normalised inside)",
        lambda array: pixels(array) * 255,
        lambda array: normalised(array / 255),
    )
    yield of(
        "the input without mean and std and with its channels reversed (BGR pixels of 0 to 255, normalised inside)",
        lambda array: reversed_(pixels(array)) * 255,
        lambda array: normalised(reversed_(array) / 255),
    )
    yield of("the input normalised once more (the mean and std are not inside)", normalised, pixels)


def _as_dtype(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return numbers in another dtype: the nearest whole ones that it holds, if that is of integers."""
    if dtype.kind not in "iu" or array.dtype.kind != "f":
        return array.astype(dtype)
    limits = np.iinfo(dtype)
    return np.asarray(np.rint(array).clip(limits.min, limits.max).astype(dtype))
