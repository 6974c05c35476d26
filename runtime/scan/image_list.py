"""Which images a scan takes, and in which shards: only ever added to, so that what is done stays valid.

A shard is all that one worker has to know besides the artifact: paths, and the numbers of its images.
"""

import hashlib
import json
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..artifact.errors import ArtifactError, ImageError, first_line
from ..artifact.file_reading import open_regular
from ..artifact.file_replacement import replace_file
from .image_place import TAR

__all__ = ["Shard", "added_shards", "chosen_items", "class_of", "packed", "read_shards", "write_shards"]

_KEY = "layerprobe.scan_images"
_MARK = f'"{_KEY}"'
_LONGEST_LINE = 2**28
"""Of a file that ends nowhere, no more is read: a shard of 2^20 images has 256 bytes for each."""


@dataclass(frozen=True)
class Shard:
    """Images that are scanned together, all of one class."""

    number: int
    """From 0, over all shards."""
    class_name: str
    """Empty without --classes."""
    rank: int
    """From 0, among the shards of its class."""
    first: int
    """The number of its first image, counted over all shards."""
    items: tuple[str, ...]
    """Paths below the folder, with `/`."""
    states: "array[int]"
    """Of each, in eight bytes, what `state_of` returned before it was read."""


def packed(states: Iterable[int]) -> "array[int]":
    """Return states as a shard holds them: a quarter of the memory of a tuple."""
    return array("q", states)


def chosen_items(items: Sequence[str], sample: int | None = None, seed: int = 0) -> list[str]:
    """Return which images may be scanned, in their order.

    Args:
        items: all there are.
        sample: so many at random: those whose path, hashed with the seed, comes first. So adding images changes few.
        seed: of the sample.
    """
    if sample is not None:
        drawn = set(sorted(items, key=lambda item: _hashed(item, seed))[:sample])
        items = [item for item in items if item in drawn]
    return list(items)


def class_of(item: str) -> str:
    """Return the class of an image as torchvision's ImageFolder has it: the first folder of its path, or of its path
    in a tar.

    Raises:
        ImageError: it is in none.
    """
    parts = PurePosixPath(item).parts
    tar = next((place for place, part in enumerate(parts) if part.endswith(TAR)), -1)
    parts = parts[tar + 1 :]
    if not parts:
        raise ImageError(
            f"{item} can't be read whole, and counts as an image of no class.\nRepair it, or omit --classes."
        )
    if len(parts) < 2:
        raise ImageError(f"{item} is in no class's folder.\nMove it into one, or omit --classes.")
    return parts[0]


def added_shards(
    earlier: Sequence[Shard],
    items: Sequence[str],
    size: int,
    state_of: Callable[[str], int],
    *,
    classes: bool,
    limit: int | None = None,
    again: Sequence[str] = (),
) -> list[Shard]:
    """Return the shards for those of `items` that no earlier shard has, to follow these.

    Args:
        earlier: all shards so far.
        items: paths below the folder.
        size: images in a shard, at most.
        state_of: returns an image's state.
        classes: whether each shard is of one class.
        limit: of all images in the list, at most so many.
        again: images that an earlier shard has and that are taken once more.

    Raises:
        ImageError: an image is in no class's folder.
    """
    known = {item for shard in earlier for item in shard.items}
    groups: dict[str, list[str]] = {}
    new = (item for item in items if item not in known)
    for item in (*islice(new, limit and max(limit - len(known), 0)), *again):
        groups.setdefault(class_of(item) if classes else "", []).append(item)
    ranks = Counter(shard.class_name for shard in earlier)
    number, first = len(earlier), sum(len(shard.items) for shard in earlier)
    added = []
    for name, members in groups.items():
        for begin in range(0, len(members), size):
            part = tuple(members[begin : begin + size])
            shard = Shard(number, name, ranks[name], first, part, packed(map(state_of, part)))
            added.append(shard)
            ranks[name] += 1
            number, first = number + 1, first + len(shard.items)
    return added


def write_shards(file: Path, shards: Sequence[Shard]) -> None:
    """Write the list: JSON, a line for each shard.

    Raises:
        OutputError: it can't be written.
    """
    with replace_file(file, _MARK) as stream:
        stream.write(f"{json.dumps({_KEY: 1})}\n".encode())
        for shard in shards:
            entry = {"class": shard.class_name, "images": shard.items, "states": shard.states.tolist()}
            stream.write(f"{json.dumps(entry)}\n".encode())


def read_shards(file: Path) -> list[Shard]:
    """Read the list; none if there is no such file.

    Raises:
        ArtifactError: it is damaged.
    """
    shards: list[Shard] = []
    try:
        with open_regular(file) as content:
            stream = _lines(content)
            _refuse_another_version(next(stream, ""))
            ranks: Counter[str] = Counter()
            first = 0
            for name, items, states in _entries(stream):
                shards.append(Shard(len(shards), name, ranks[name], first, items, states))
                ranks[name] += 1
                first += len(items)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{file} is damaged: {first_line(error)}.\nScan into another folder.") from error
    return shards


def _refuse_another_version(line: str) -> None:
    if not line or json.loads(line) != {_KEY: 1}:
        raise ValueError("it is of another version")


def _lines(content: BinaryIO) -> Iterator[str]:
    while line := content.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise ValueError("a line is too long")
        yield line.decode()


def _entries(lines: Iterator[str]) -> Iterator[tuple[str, tuple[str, ...], "array[int]"]]:
    for line in lines:
        entry = json.loads(line)
        name, items, states = entry["class"], entry["images"], entry["states"]
        if not (isinstance(name, str) and isinstance(items, list) and items and isinstance(states, list)):
            raise ValueError("a line lists no images")
        # Only what is below the folder is read, whoever wrote the list.
        if not all(isinstance(item, str) and _is_below(item) for item in items):
            raise ValueError("it lists a path outside of the folder")
        if len(states) != len(items) or not all(type(each) is int and 0 <= each < 2**63 for each in states):
            raise ValueError("it has other states than images")
        yield name, tuple(items), packed(states)


def _is_below(item: str) -> bool:
    path = PurePosixPath(item)
    return "\0" not in item and bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _hashed(item: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\n".encode() + os.fsencode(item)).digest()
