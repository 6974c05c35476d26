"""Blocks of a model, by the paths of its modules: which depth makes an overview, and what is a branch inside of one.

How many of a block's maps are drawn is up to `thinning.py`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from ..artifact.manifest import Output
from ..artifact.selection import select_outputs

__all__ = [
    "branch_names",
    "closed_blocks",
    "depth_of_rows",
    "is_branch",
    "numbered_paths",
    "of_whole_blocks",
    "residual_blocks",
    "with_branch_ends",
    "within",
    "without_branches",
    "without_preactivations",
]

_CROWDED, _ENOUGH, _TELLING = 32, 10, 6
"""Maps from which on an overview is of blocks only; of how many the outermost blocks are taken; how many it has at
least."""
_LARGEST_SHARE = 0.5
"""Of the outputs, that a block of several may hold."""
_SUM = "add"
"""Its label in lower case, of PyTorch and of ONNX."""
_LINEAR = ("conv", "batchnorm", "linear", "gemm")
_ACTIVATIONS = re.compile(r"[a-z]*elu6?|mish|[a-z]*sigmoid|[a-z]*swish|silu|softplus|[a-z]*tanh")
"""By their labels in lower case, without underscores: of PyTorch's modules and functions, and of ONNX."""


def of_whole_blocks(outputs: Sequence[Output], shown: Callable[[Sequence[Output]], int]) -> tuple[list[Output], int]:
    """Return what the outermost blocks return that are enough, or else the deepest that aren't too many, and how deep
    they are; all outputs, and 0, if these are few, or there are no blocks.

    Args:
        outputs: all.
        shown: how many of some outputs' maps show something new.
    """
    best, found = list(outputs), 0
    if shown(outputs) <= _CROWDED:
        return best, found
    for depth, selected in _by_depth(outputs):
        if len(selected) == len(outputs):
            break
        some = _with_maps(without_branches(selected), outputs)
        maps = shown(some)
        if not maps or maps > _CROWDED:
            break
        if maps >= _TELLING:
            best, found = some, depth
        if found == depth and sum(each.has_map for each in some) >= _ENOUGH:
            break
    return best, found


def _with_maps(some: Sequence[Output], outputs: Sequence[Output]) -> list[Output]:
    """Return some outputs, in place of one that has no map, as after a channel shuffle, the last of its module's that
    has one.
    """
    names = {each.name for each in some}
    found = {each.name: each for each in some}
    last: dict[str, Output] = {}
    for each in outputs:
        if each.name in names and each.module_path and not each.has_map:
            found[each.name] = last.get(each.module_path, each)
        elif each.has_map:
            last[each.module_path] = each
    return list({each.name: each for each in found.values()}.values())


def numbered_paths(paths: Iterable[str]) -> set[str]:
    """Return the modules of one kind that are the most, by their numbers: `layers.0` to `layers.11`."""
    kinds: dict[str, set[str]] = {}
    for path in paths:
        if re.search(r"\d", path):
            kinds.setdefault(re.sub(r"\d+", "0", path), set()).add(path)
    return max(kinds.values(), key=len, default=set())


def depth_of_rows(outputs: Sequence[Output], most: int) -> int | None:
    """Return how deep the blocks are of which a page of so many rows has room, at least 1; None if it has for all."""

    def rows(some: Sequence[Output]) -> int:
        return sum(each.has_map and each.alias_of is None and each.shape[2:] != (1, 1) for each in some)

    best = None
    if rows(outputs) > most:
        for depth, some in _by_depth(outputs):
            if best and rows(some) > most:
                break
            best = depth
    return best


def _by_depth(outputs: Sequence[Output]) -> Iterator[tuple[int, list[Output]]]:
    """Yield what blocks return, from the outermost blocks to the deepest layers, with their depth."""
    paths = [output.module_path for output in outputs if output.module_path]
    for depth in range(1, max((path.count(".") + 1 for path in paths), default=0) + 1):
        yield depth, select_outputs(outputs, depth=depth)


def without_preactivations(some: Sequence[Output], outputs: Sequence[Output]) -> list[Output]:
    """Return some outputs without linear ones that an activation of their shape among them follows: the mean over what
    is positive in one channel and negative in the next says less than that over what the activation lets through.

    Args:
        some: of which these are.
        outputs: all, by which is known what follows directly.
    """
    names, left = {each.name for each in some}, set[str]()
    after: Output | None = None
    for each in reversed(outputs):
        label = each.label.lower().replace("_", "")
        if after is not None and after.shape == each.shape and each.has_map and label.startswith(_LINEAR):
            left.add(each.name)  # and after it a batch norm, too
        else:
            after = each if each.name in names and _ACTIVATIONS.fullmatch(label) else None
    return [each for each in some if each.name not in left]


def without_branches(outputs: Sequence[Output]) -> list[Output]:
    """Return the outputs without those inside of a block that ends with an operation of its own, as a residual block
    with its sum: that, and no branch of it, is what the block returns.
    """
    blocks = closed_blocks(outputs)
    return [each for each in outputs if not is_branch(each.module_path, blocks)]


def with_branch_ends(some: Sequence[Output], outputs: Sequence[Output]) -> list[Output]:
    """Return some outputs and, of each block among them that ends with an operation of its own, what its last module
    returns: what a residual block adds to its input.
    """
    blocks = {each.module_path for each in some} & closed_blocks(outputs)
    ends = {block: each.name for each in outputs for block in blocks if is_branch(each.module_path, [block])}
    names = {*ends.values(), *(each.name for each in some)}
    return [each for each in outputs if each.name in names]


def closed_blocks(outputs: Sequence[Output]) -> set[str]:
    """Return the modules around some of the outputs that end with an operation of their own, which is among them."""
    paths = [each.module_path for each in outputs]
    held = {path: sum(is_branch(each, [path]) for each in paths) for path in {*paths} if path}
    # What holds more is around the whole model.
    return {path for path, count in held.items() if 0 < count <= _LARGEST_SHARE * len(outputs)}


def residual_blocks(outputs: Sequence[Output]) -> set[str]:
    """Return the closed blocks that add up: of others, as a stage that only transposes at its end, nothing inside is
    what the block adds to its input.
    """
    return closed_blocks(outputs) & {each.module_path for each in outputs if each.label.lower() == _SUM}


def branch_names(outputs: Sequence[Output], blocks: Collection[str]) -> set[str]:
    """Return the outputs inside of the blocks before each one's own last operation: not the activation of its sum."""
    last = {each.module_path: at for at, each in enumerate(outputs)}
    return {
        each.name
        for at, each in enumerate(outputs)
        if any(at < last.get(block, 0) and is_branch(each.module_path, [block]) for block in blocks)
    }


def is_branch(path: str, blocks: Collection[str]) -> bool:
    """Return whether a module is inside of one of the blocks."""
    return any(path.startswith(f"{block}.") for block in blocks)


def within(path: str, block: str) -> bool:
    """Return whether a module is a block or inside of it."""
    return path == block or path.startswith(f"{block}.")
