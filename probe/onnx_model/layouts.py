"""ONNX graph -> the layout of every value: the axes are followed from the inputs through the operators.

The algebra of axes is `probe/layout/axis_factors.py`; here is what each ONNX operator does to them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from onnx import NodeProto, helper

from runtime.artifact.manifest import TokenGrid

from ..layout.axis_factors import (
    Axis,
    drop,
    fresh,
    grid_of,
    is_known,
    letter_of,
    merge,
    narrow,
    reshape,
    resize,
    settle,
    size_of,
    with_tokens,
)

__all__ = ["Layouts"]

_IMAGE_AXES = {1: "L", 2: "HW", 3: "DHW"}
Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Step:
    """A node as the rules see it."""

    node: NodeProto
    attributes: Mapping[str, Any]
    axes: Sequence[list[Axis] | None]
    """By input; None for a weight, or one that is omitted."""
    numbers: Sequence[list[int] | None]
    """By input: its values, where it is a short list of integers."""
    shape: Shape
    part: int

    @property
    def first(self) -> list[Axis]:
        """The axes of the first input; none if it is a weight."""
        return (self.axes[0] if self.axes else None) or []

    def integers(self, attribute: str, place: int) -> list[int] | None:
        """Return integers that are an attribute in older opsets and an input in newer ones."""
        given = self.attributes.get(attribute)
        if given is not None:
            return [given] if isinstance(given, int) else list(given)
        return self.numbers[place] if place < len(self.numbers) else None


_Rule = Callable[[_Step], "list[Axis] | None"]


class Layouts:
    """The axes of every value that was added, in the order of computation."""

    def __init__(self) -> None:
        self._axes: dict[str, list[Axis]] = {}

    def add_input(self, name: str, letters: str, shape: Shape) -> None:
        """Add an input of the model with the letters of its axes."""
        self._axes[name] = [fresh(letter, size) for letter, size in zip(letters, shape, strict=True)]

    def add(self, node: NodeProto, numbers: Sequence[list[int] | None], shapes: Sequence[Shape | None]) -> None:
        """Add what a node computes.

        Args:
            node: the node.
            numbers: by input, its values where it is a short list of integers.
            shapes: by output that has a name; None for one that is no tensor.
        """
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        inputs = [self._axes.get(name) for name in node.input]
        for part, (name, shape) in enumerate(zip(filter(None, node.output), shapes, strict=True)):
            if shape is not None and any(inputs):
                self._axes[name] = _follow(_Step(node, attributes, inputs, numbers, shape, part))

    def of(self, name: str, rank: int) -> tuple[str, TokenGrid | None]:
        """Return a value's letters, one per axis (`?` where nothing is known), and how its tokens are laid out."""
        axes = self._axes.get(name)
        if axes is None:
            return "?" * rank, None
        letters = ""
        for axis in axes:
            letter = letter_of(axis)
            letters += "?" if letter in letters else letter
        return letters, grid_of(axes[1]) if letters == "NLC" else None


def _follow(step: _Step) -> list[Axis]:
    rule = _RULES.get(step.node.op_type, _elementwise)
    try:
        result = rule(step)
    except Exception:  # of several types, for attributes or inputs that no rule expects: nothing is known
        result = None
    if result is not None and tuple(map(size_of, result)) == step.shape:
        return result
    first = step.first
    stays = len(step.shape) > 1 and first and letter_of(first[0]) == "N" and size_of(first[0]) == step.shape[0]
    unknown = [fresh("?", size) for size in step.shape]
    return [first[0], *unknown[1:]] if stays else unknown


def _pool(step: _Step) -> list[Axis] | None:
    """Pooling, resizing: N C *, whatever was known before, keeping what is known of the image's axes."""
    axes = step.first
    letters = _IMAGE_AXES.get(len(step.shape) - 2)
    if letters is None or len(axes) != len(step.shape):
        return None
    image = []
    for axis, size, letter in zip(axes[2:], step.shape[2:], letters, strict=True):
        known = letter_of(axis)
        keep = is_known(axis) and size_of(axis) == size
        image.append(axis if keep else fresh(known if known in "DHWL" else letter, size))
    channels = axes[1] if is_known(axes[1]) and size_of(axes[1]) == step.shape[1] else fresh("C", step.shape[1])
    batch = axes[0] if is_known(axes[0]) else fresh("N", step.shape[0])
    return [batch, channels, *image]


def _convolve(step: _Step) -> list[Axis] | None:
    axes = _pool(step)
    return axes and [axes[0], fresh("C", step.shape[1]), *axes[2:]]


def _normalise_channels(step: _Step) -> list[Axis] | None:
    """What is known stays; where nothing is, axis 1 is C and the image follows."""
    axes = step.first
    letters = {2: "C", 3: "C?", 4: "CHW", 5: "CDHW"}.get(len(axes), "")
    if not letters:
        return None
    return [
        axes[0] if is_known(axes[0]) else fresh("N", size_of(axes[0])),
        *(
            axis if is_known(axis) else fresh(letter, size_of(axis))
            for axis, letter in zip(axes[1:], letters, strict=True)
        ),
    ]


def _transpose(step: _Step) -> list[Axis]:
    axes = step.first
    order = step.attributes.get("perm") or range(len(axes))[::-1]
    return [axes[place] for place in order]


def _reshape(step: _Step) -> list[Axis]:
    return settle(reshape(step.first, step.shape))


def _squeeze(step: _Step) -> list[Axis]:
    axes, given = step.first, step.integers("axes", 1)
    chosen = range(len(axes)) if given is None else [each % len(axes) for each in given]
    return [axis for place, axis in enumerate(axes) if place not in chosen or size_of(axis) != 1]


def _unsqueeze(step: _Step) -> list[Axis]:
    rest = iter(step.first)
    rank = len(step.shape)
    chosen = {each % rank for each in step.integers("axes", 1) or []}
    return [fresh("?", 1) if place in chosen else next(rest) for place in range(rank)]


def _multiply(step: _Step) -> list[Axis] | None:
    """A linear layer where one factor is a weight; else rows of the one and columns of the other."""
    left, right = step.axes[0], step.axes[1]
    if left and not right:
        # If another axis holds the channels, tokens were mixed, as in MLP-Mixer.
        mixed = any(factor.letter == "C" for axis in left[:-1] for factor in axis)
        return [*left[:-1], fresh("?" if mixed else "C", step.shape[-1])]
    if right and not left:
        return [*right[:-2], fresh("?", step.shape[-2]), right[-1]]
    assert left
    assert right
    outer = [
        merge(
            [axes[place] for axes in (left, right) if len(axes) == len(step.shape) and size_of(axes[place]) == size],
            size,
        )
        for place, size in enumerate(step.shape[:-2])
    ]
    return [*outer, left[-2], right[-1]]


def _gemm(step: _Step) -> list[Axis] | None:
    axes = step.first[::-1] if step.attributes.get("transA") else step.first
    return [axes[0], fresh("C", step.shape[1])]


def _reduce(step: _Step) -> list[Axis]:
    """Axes are dropped, or kept with size 1."""
    axes, given = step.first, step.integers("axes", 1)
    if given is None and "axis" in step.attributes:
        given = [step.attributes["axis"]]
    if len(step.shape) == len(axes):
        return [resize(axis, size) for axis, size in zip(axes, step.shape, strict=True)]
    for place in sorted((each % len(axes) for each in given) if given else range(len(axes)), reverse=True):
        axes = drop(axes, place)
    return axes


def _concatenate(step: _Step) -> list[Axis]:
    """Along L, tokens are added to those of the image; elsewhere letters stay."""
    place = step.attributes.get("axis", 1) % len(step.shape)
    tensors = [axes for axes in step.axes if axes]
    axes = [merge([each[i] for each in tensors], size) for i, size in enumerate(step.shape)]
    letters = {letter_of(each[place]) for each in tensors if is_known(each[place])}
    axes[place] = fresh(letters.pop() if len(letters) == 1 else "?", step.shape[place])
    patches = [i for i, each in enumerate(step.axes) if each and grid_of(each[place])]
    if len(patches) == 1 and letter_of(axes[place]) == "L":
        of_patches = (step.axes[patches[0]] or [])[place]
        added = step.shape[place] - size_of(of_patches)
        # A class token is a weight, whose size isn't known: it is what the others leave.
        before, after = (
            sum(size_of(each[place]) for each in side if each) if all(side) else None
            for side in (step.axes[: patches[0]], step.axes[patches[0] + 1 :])
        )
        if before is None and after is not None:
            before = added - after
        if before is not None:
            axes[place] = with_tokens(of_patches, before, added - before)
    return axes


def _slice(step: _Step) -> list[Axis]:
    """Parts of axes; whole letters stay where the ends aren't known."""
    starts, ends = step.integers("starts", 1), step.integers("ends", 2)
    places, strides = step.integers("axes", 3), step.integers("steps", 4)
    axes = list(step.first)
    if starts is None or ends is None or (strides and set(strides) != {1}):
        return [resize(axis, size) for axis, size in zip(axes, step.shape, strict=True)]
    for place, start, end in zip(places or range(len(starts)), starts, ends, strict=True):
        low, high, _ = slice(start, end).indices(size_of(axes[place]))
        one = high - low == 1 < size_of(axes[place])
        axes = _single(axes, place) if one else [*axes[:place], narrow(axes[place], low, high), *axes[place + 1 :]]
    return axes


def _gather(step: _Step) -> list[Axis] | None:
    """A single index drops its axis; several are a part of it, in whatever order. Rows of a table are features."""
    axes = step.first
    if not axes:
        indices = step.axes[1] or []
        return [*indices, fresh("C", step.shape[-1])] if len(step.shape) == len(indices) + 1 else None
    place = step.attributes.get("axis", 0) % len(axes)
    if len(step.shape) == len(axes) - 1:
        return drop(axes, place)
    if len(step.shape) != len(axes):
        return None
    letter = letter_of(axes[place])
    return [*axes[:place], fresh(letter, step.shape[place]), *axes[place + 1 :]]


def _single(axes: Sequence[Axis], place: int) -> list[Axis]:
    """One index of an axis, which stays: if it was a piece (the 3 of 3C), the other pieces make up the whole."""
    rest = drop(axes, place)
    return [*rest[:place], fresh(letter_of(axes[place]), 1), *rest[place:]]


def _split(step: _Step) -> list[Axis]:
    axes = list(step.first)
    place = step.attributes.get("axis", 0) % len(axes)
    sizes = step.integers("split", 1)
    if step.shape[place] == 1:
        return _single(axes, place)
    if sizes is None:
        axes[place] = resize(axes[place], step.shape[place])
    else:
        starts = list(accumulate(sizes, initial=0))
        axes[place] = narrow(axes[place], starts[step.part], starts[step.part + 1])
    return axes


def _resized(step: _Step) -> list[Axis]:
    """Padding, repetition, and whatever else only changes sizes; new axes come first."""
    axes = step.first
    added = len(step.shape) - len(axes)
    kept = [resize(axis, size) for axis, size in zip(axes, step.shape[added:], strict=True)]
    return [*(fresh("?", size) for size in step.shape[:added]), *kept]


def _elementwise(step: _Step) -> list[Axis] | None:
    """Merge all inputs that broadcast to the result's shape."""
    inputs = []
    for axes in step.axes:
        if axes and len(axes) <= len(step.shape):
            sizes = map(size_of, axes)
            if all(size in (1, whole) for size, whole in zip(sizes, step.shape[-len(axes) :], strict=True)):
                inputs.append([fresh("?", 1)] * (len(step.shape) - len(axes)) + axes)
    if any(all(size_of(axes[place]) != size for axes in inputs) for place, size in enumerate(step.shape)):
        return None
    return [
        merge([axes[place] for axes in inputs if size_of(axes[place]) == size], size)
        for place, size in enumerate(step.shape)
    ]


def _nothing(step: _Step) -> None:  # noqa: ARG001
    return None


_FAMILIES: tuple[tuple[_Rule, str], ...] = (
    (_convolve, "Conv ConvTranspose DeformConv QLinearConv ConvInteger FusedConv"),
    (
        _pool,
        "MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool MaxUnpool Resize Upsample GridSample "
        "DepthToSpace SpaceToDepth QLinearAveragePool QLinearGlobalAveragePool",
    ),
    (_normalise_channels, "BatchNormalization InstanceNormalization GroupNormalization LRN"),
    (_transpose, "Transpose"),
    (_reshape, "Reshape Flatten"),
    (_squeeze, "Squeeze"),
    (_unsqueeze, "Unsqueeze"),
    (_multiply, "MatMul FusedMatMul MatMulInteger"),
    (_gemm, "Gemm FusedGemm QGemm"),
    (
        _reduce,
        "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
        "ReduceLogSumExp ArgMax ArgMin",
    ),
    (_concatenate, "Concat"),
    (_slice, "Slice"),
    (_gather, "Gather"),
    (_split, "Split"),
    (_resized, "Pad Expand Tile TopK CenterCropPad"),
    # These take places in an order that depends on their values, or return something else altogether.
    (
        _nothing,
        "Loop If Scan GatherND GatherElements NonZero NonMaxSuppression Compress RoiAlign MaxRoiPool LSTM GRU RNN "
        "Unique Einsum OneHot Shape Size",
    ),
)
_RULES: dict[str, _Rule] = {name: rule for rule, names in _FAMILIES for name in names.split()}
"""By operator; any other works element by element."""
