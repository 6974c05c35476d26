"""Which sizes follow the input's, observed by running the graph again, without data, on inputs of other sizes."""

import re
from collections.abc import Mapping

import torch
from torch import fx

from runtime.artifact.errors import CaptureError, ModelError
from runtime.artifact.manifest import Dimension

from ..capture.traced_model import TracedModel
from ..model.example import Example
from .observation import Observation, observe_shapes

__all__ = ["SIZE_STEPS", "resized", "symbolic_shapes"]

_SIZED = re.compile(r"(?:(\d+)\*)?([HW])(?:/(\d+))?")
"""`2*H`, `W/4`."""

SIZE_STEPS = {"H": 64, "W": 128}
"""How many pixels higher and wider the image is on which a dynamic size is tried. Networks halve the size five or six
times, and many take only sizes that are divisible by that."""


def symbolic_shapes(
    traced: TracedModel,
    observations: Mapping[fx.Node, Observation],
    example: Example,
    *,
    dynamic_size: bool = False,
) -> dict[fx.Node, tuple[Dimension, ...]]:
    """Return each tensor's shape with `N` where a size follows the batch, `2*N` where it is a multiple of it.

    With `dynamic_size` also `H` and `W`, and `H/2` where it is half of every even height that the model takes. A size
    that follows in some other way is `H?`, `W?` or `HW?`, or `?` if it also depends on the batch.

    Raises:
        CaptureError: `dynamic_size` is set, and the graph can't take images of another size.
    """
    followed: list[tuple[str, int, dict[fx.Node, tuple[int, ...]]]] = []
    for batched in traced.batch_guesses(example):
        wider = _in_other_batches(traced, observations, example, batched)
        if wider is not None:
            followed.append(("N", example.batch, wider))
            break
    for symbol in SIZE_STEPS if dynamic_size else ():
        other = resized(example, {symbol: SIZE_STEPS[symbol]})
        shapes = observe_shapes(traced, other)
        if isinstance(shapes, Exception):
            raise CaptureError(
                f"The captured graph only takes the size {_sizes(example)}; on {_sizes(other)} it fails "
                f"(omit --dynamic-size, dynamic_size=True)\n{shapes}"
            ) from shapes
        followed.append((symbol, _image(example).shape[2 if symbol == "H" else 3], shapes))
    named = {
        node: tuple(
            _dimension(size, [(symbol, base, other[node][axis]) for symbol, base, other in known])
            for axis, size in enumerate(observation.shape)
        )
        for node, observation in observations.items()
        for known in [_of_same_rank(node, len(observation.shape), followed)]
    }
    return _without_rounded(traced, example, named) if dynamic_size else named


def _in_other_batches(
    traced: TracedModel, observations: Mapping[fx.Node, Observation], example: Example, batched: frozenset[int]
) -> dict[fx.Node, tuple[int, ...]] | None:
    """Return the shapes for one more image; None if the batch can't be open.

    It can't where the graph fails on one more image, or on a single one (it reads the second, say), or where a tensor
    then has another rank (a batch of 1 is squeezed).
    """
    others = [example.enlarged(batched)]
    if example.batch > 1:
        others.append(example.of_other_batch(batched))
    shapes: list[dict[fx.Node, tuple[int, ...]]] = []
    for other in others:
        found = observe_shapes(traced, other)
        if isinstance(found, Exception):
            return None
        shapes.append(found)
    same_rank = all(
        len(found[node]) == len(observation.shape)
        for found in shapes
        for node, observation in observations.items()
        if node in found and observation.dtype is not None
    )
    return shapes[0] if same_rank else None


def _without_rounded(
    traced: TracedModel, example: Example, named: Mapping[fx.Node, tuple[Dimension, ...]]
) -> dict[fx.Node, tuple[Dimension, ...]]:
    """Return the shapes with `H?` in place of `H/2` where two more pixels don't give one more.

    A size that is halved twice and doubled once is half of 64 and of 128, but not of 66.
    """
    named = dict(named)
    divisors = {
        int(part[3] or 1) for shape in named.values() for part in map(_SIZED.fullmatch, map(str, shape)) if part
    }
    for divisor in sorted(divisors):
        shapes = observe_shapes(traced, resized(example, dict.fromkeys(SIZE_STEPS, divisor)))
        if isinstance(shapes, Exception):
            continue  # The model takes no such size.
        image = _image(example).shape
        grown = {"H": image[2] + divisor, "W": image[3] + divisor}
        for node, shape in named.items():
            if node in shapes and len(shapes[node]) == len(shape):
                pairs = zip(shape, shapes[node], strict=True)
                named[node] = tuple(_confirmed(each, size, divisor, grown) for each, size in pairs)
    return named


def _confirmed(named: Dimension, size: int, divisor: int, grown: Mapping[str, int]) -> Dimension:
    """Return a size's name if it still holds where height and width have `grown` by the divisor, else `H?` or `W?`."""
    part = _SIZED.fullmatch(str(named))
    if part is None or int(part[3] or 1) != divisor or size == int(part[1] or 1) * grown[part[2]] // divisor:
        return named
    return f"{part[2]}?"


def resized(example: Example, steps: Mapping[str, int]) -> Example:
    """Return the example with its N C H W tensors enlarged by `steps` pixels, cyclically."""
    return example.replaced(
        tuple(
            tensor[:, :, _cyclic(tensor.shape[2], steps.get("H", 0))][..., _cyclic(tensor.shape[3], steps.get("W", 0))]
            if tensor.ndim == 4
            else tensor
            for tensor in example.tensors
        )
    )


def _cyclic(size: int, step: int) -> torch.Tensor:
    return torch.arange(size + step) % size


def _image(example: Example) -> torch.Tensor:
    images = [tensor for tensor in example.tensors if tensor.ndim == 4]
    if not images:
        raise ModelError("A dynamic size needs an N C H W image as input, and the example has none.")
    return images[0]


def _sizes(example: Example) -> str:
    return " x ".join(map(str, _image(example).shape[2:]))


def _of_same_rank(
    node: fx.Node, rank: int, followed: list[tuple[str, int, dict[fx.Node, tuple[int, ...]]]]
) -> list[tuple[str, int, dict[fx.Node, tuple[int, ...]]]]:
    return [each for each in followed if len(each[2].get(node, ())) == rank and node in each[2]]


def _dimension(size: int, others: list[tuple[str, int, int]]) -> Dimension:
    """Name a size, given what it becomes as each of the inputs' sizes (symbol, base) grows."""
    changed = [other for other in others if other[2] != size]
    if not changed:
        return size
    symbols = "".join(symbol for symbol, _, _ in changed)
    unknown = "?" if "N" in symbols else f"{symbols}?"
    if len(changed) > 1:
        return unknown
    symbol, base, other = changed[0]
    grown = base + SIZE_STEPS.get(symbol, 1)
    if size * grown != other * base:
        return unknown
    if size % base == 0:
        return symbol if size == base else f"{size // base}*{symbol}"
    if symbol != "N" and base % size == 0:
        return f"{symbol}/{base // size}"
    return unknown
