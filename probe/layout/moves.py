"""The rules for operations that compute nothing: reordering, reshaping, joining, indexing and splitting."""

from itertools import accumulate
from typing import Any

from torch import fx

from .axis_factors import (
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
from .step import Step, elementwise, indices, table, unknown

__all__ = ["MOVES"]


def _permute(step: Step) -> list[Axis]:
    axes = step.first
    return [axes[i] for i in step.sequence(1, "dims")]


def _transpose(step: Step) -> list[Axis]:
    axes = list(step.first)
    i, j = step.argument(1, "dim0", "axis0"), step.argument(2, "dim1", "axis1")
    axes[i], axes[j] = axes[j], axes[i]
    return axes


def _move(step: Step) -> list[Axis]:
    """movedim: the axes that move go to their destinations, the others fill the gaps in order."""
    axes, source, target = step.first, step.argument(1, "source"), step.argument(2, "destination")
    pairs = zip(*([each] if isinstance(each, int) else each for each in (source, target)), strict=True)
    moved = {to % len(axes): start % len(axes) for start, to in pairs}
    others = iter(i for i in range(len(axes)) if i not in moved.values())
    return [axes[moved[i] if i in moved else next(others)] for i in range(len(axes))]


def _reverse(step: Step) -> list[Axis]:
    return step.first[::-1]


def _swap_last(step: Step) -> list[Axis]:
    *outer, rows, columns = step.first
    return [*outer, columns, rows]


def _attribute(step: Step) -> list[Axis] | None:
    rule = {"T": _reverse, "H": _reverse, "mT": _swap_last, "mH": _swap_last, "data": elementwise}
    return rule.get(step.argument(1), unknown)(step)


def _reshape(step: Step) -> list[Axis]:
    return settle(reshape(step.first, step.shape))


def _squeeze(step: Step) -> list[Axis]:
    axes, given = step.first, step.argument(1, "dim")
    chosen = range(len(axes)) if given is None else indices(given, len(axes))
    return [axis for i, axis in enumerate(axes) if i not in chosen or size_of(axis) != 1]


def _unsqueeze(step: Step) -> list[Axis]:
    axes = list(step.first)
    axes.insert(step.argument(1, "dim") % (len(axes) + 1), fresh("?", 1))
    return axes


def _resize(step: Step) -> list[Axis] | None:
    """Padding, repetition, and whatever else only changes sizes; new axes come first."""
    axes = step.first
    added = len(step.shape) - len(axes)
    if added < 0:
        return None
    kept = [resize(axis, size) for axis, size in zip(axes, step.shape[added:], strict=True)]
    return [*(fresh("?", size) for size in step.shape[:added]), *kept]


def _unfold(step: Step) -> list[Axis]:
    """`x.unfold(2, 3, 1)`: an axis of windows, and a last axis of the places in a window."""
    axes = list(step.first)
    index = step.argument(1, "dimension")
    axes[index] = fresh("?", step.shape[index])
    return [*axes, fresh("?", step.shape[-1])]


def _reorder(step: Step) -> list[Axis] | None:
    """Letters stay, but the tokens' layout in the image is lost."""
    name = _called(step.node)
    if name.startswith("flip"):
        given = step.sequence(1, "dims")
    else:
        given = step.argument(2, "dims") if name.startswith("roll") else step.argument(1, "dim", default=-1)
    axes = list(step.first)
    for i in indices(given, len(axes)):
        if grid_of(axes[i]):
            axes[i] = fresh("L", size_of(axes[i]))
    return axes


def _concatenate(step: Step) -> list[Axis]:
    """Along L, tokens are added to those of the image; elsewhere letters stay."""
    tensors = [step.tensor(each) for each in step.argument(0, "tensors")]
    index = step.argument(1, "dim", default=0) % len(step.shape)
    axes = [merge([axes[i] for axes in tensors], size) for i, size in enumerate(step.shape)]
    along = [axes[index] for axes in tensors]
    letters = {letter_of(axis) for axis in along if is_known(axis)}
    axes[index] = fresh(letters.pop() if len(letters) == 1 else "?", step.shape[index])
    patches = [i for i, axis in enumerate(along) if grid_of(axis)]
    if len(patches) == 1 and letter_of(axes[index]) == "L":
        before, after = along[: patches[0]], along[patches[0] + 1 :]
        axes[index] = with_tokens(along[patches[0]], sum(map(size_of, before)), sum(map(size_of, after)))
    return axes


def _stack(step: Step) -> list[Axis]:
    index = step.argument(1, "dim", default=0) % len(step.shape)
    tensors = [step.tensor(each) for each in step.argument(0, "tensors")]
    axes = [merge(each, size_of(each[0])) for each in zip(*tensors, strict=True)]
    return [*axes[:index], fresh("?", step.shape[index]), *axes[index:]]


def _getitem(step: Step) -> list[Axis]:
    """`x[:, 1:, 0, None, ...]`; an index that is a tensor can do anything."""
    given = step.argument(1)
    items = list(given) if isinstance(given, tuple | list) else [given]
    if any(step.tensor(item) or isinstance(item, list) for item in items):
        return unknown(step)
    axes = step.first
    named = sum(item is not None and item is not Ellipsis for item in items)
    at = items.index(Ellipsis) if Ellipsis in items else len(items)
    items[at : at + 1] = [slice(None)] * (len(axes) - named)
    place = 0
    for item in items:
        if item is None:
            axes = [*axes[:place], fresh("?", 1), *axes[place:]]
        elif not isinstance(item, slice):
            axes = drop(axes, place)
            continue
        else:
            part = _sliced(axes[place], item.start, item.stop, item.step, step.shape[place])
            axes = [*axes[:place], part, *axes[place + 1 :]]
        place += 1
    return axes


def _sliced(axis: Axis, start: Any, stop: Any, stride: Any, size: int) -> Axis:
    """Return `axis[start:stop:stride]`, with its observed size, since the ends may be computed in the graph."""
    if stride in {None, 1} and isinstance(start, int | None) and isinstance(stop, int | None):
        start, stop, _ = slice(start, stop).indices(size_of(axis))
        return narrow(axis, start, stop)
    return resize(axis, size)


def _slice(step: Step) -> list[Axis]:
    index = step.argument(1, "dim", default=0)
    start, stop, stride = (step.argument(i, name) for i, name in ((2, "start"), (3, "end"), (4, "step")))
    axes = list(step.first)
    axes[index] = _sliced(axes[index], start, stop, stride, step.shape[index])
    return axes


def _narrow(step: Step) -> list[Axis]:
    index, start, length = (step.argument(i, name) for i, name in ((1, "dim"), (2, "start"), (3, "length")))
    axes = list(step.first)
    axes[index] = _sliced(axes[index], start, start + length, 1, step.shape[index])
    return axes


def _select(step: Step) -> list[Axis]:
    axes = step.first
    return drop(axes, step.argument(1, "dim", default=0) % len(axes))


def _split(step: Step) -> list[Axis]:
    """Parts of one axis: the layout of an L's patches is kept if all of them are in one part."""
    axes = list(step.first)
    index = step.argument(2, "dim", default=0)
    sizes = step.argument(1, "split_size_or_sections", "split_size", "split_sizes", "chunks")
    size = size_of(axes[index])
    if isinstance(sizes, int):
        length = -(-size // sizes) if "chunk" in _called(step.node) else sizes
        sizes = [length] * -(-size // length)
    if not isinstance(sizes, list | tuple) or not all(isinstance(each, int) for each in sizes) or step.part is None:
        axes[index] = resize(axes[index], step.shape[index])
    else:
        starts = list(accumulate(sizes, initial=0))
        axes[index] = narrow(axes[index], starts[step.part], min(starts[step.part + 1], size))
    return axes


def _called(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


MOVES = table(
    (_permute, "permute"),
    (_transpose, "transpose swapaxes swapdims"),
    (_move, "movedim moveaxis"),
    (_reverse, "t numpy_T matrix_H"),
    (_swap_last, "mT mH adjoint"),
    (_attribute, "getattr"),
    (_reshape, "reshape view flatten unflatten unsafe_view reshape_as view_as ravel"),
    (_squeeze, "squeeze"),
    (_unsqueeze, "unsqueeze"),
    (_resize, "pad expand broadcast_to repeat tile repeat_interleave tensor_split topk glu"),
    (_unfold, "unfold"),
    (_reorder, "flip roll sort argsort"),
    (_concatenate, "cat concat concatenate"),
    (_stack, "stack"),
    (_getitem, "getitem"),
    (_slice, "slice"),
    (_narrow, "narrow"),
    (_select, "select unbind"),
    (_split, "chunk split unsafe_chunk unsafe_split split_with_sizes"),
    # These take places of an axis in an order that depends on their values.
    (unknown, "index index_select gather take take_along_dim"),
)
"""By the operation's name."""
