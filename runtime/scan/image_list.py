"""Which images a scan takes, and in which shards: only ever added to, so that what is done stays valid.

A shard is all that one worker has to know besides the artifact: paths, and the numbers of its images.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..artifact.errors import ArtifactError, ImageError, first_line
from ..artifact.file_replacement import replace_file
from .image_place import TAR

__all__ = ["Shard", "added_shards", "chosen_items", "class_of", "read_shards", "write_shards"]

_KEY = "layerprobe.scan_images"
_MARK = f'"{_KEY}"'


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


def chosen_items(items: Sequence[str], limit: int | None = None, sample: int | None = None, seed: int = 0) -> list[str]:
    """Return which images are scanned, in their order.

    Args:
        items: all there are.
        limit: at most so many, the first ones.
        sample: so many at random: those whose path, hashed with the seed, comes first. So adding images changes few.
        seed: of the sample.
    """
    if sample is not None:
        drawn = set(sorted(items, key=lambda item: _hashed(item, seed))[:sample])
        items = [item for item in items if item in drawn]
    return list(items[:limit])


def class_of(item: str) -> str:
    """Return the class of an image as torchvision's ImageFolder has it: the first folder of its path, or of its path
    in a tar.

    Raises:
        ImageError: it is in none.
    """
    parts = PurePosixPath(item).parts
    tar = next((place for place, part in enumerate(parts) if part.endswith(TAR)), -1)
    parts = parts[tar + 1 :]
    if len(parts) < 2:
        raise ImageError(f"{item} is in no class's folder.\nMove it into one, or omit --classes.")
    return parts[0]


def added_shards(earlier: Sequence[Shard], items: Sequence[str], size: int, *, classes: bool) -> list[Shard]:
    """Return the shards for those of `items` that no earlier shard has, to follow these.

    Args:
        earlier: all shards so far.
        items: paths below the folder.
        size: images in a shard, at most.
        classes: whether each shard is of one class.

    Raises:
        ImageError: an image is in no class's folder.
    """
    known = {item for shard in earlier for item in shard.items}
    groups: dict[str, list[str]] = {}
    for item in items:
        if item not in known:
            groups.setdefault(class_of(item) if classes else "", []).append(item)
    ranks = Counter(shard.class_name for shard in earlier)
    number, first = len(earlier), sum(len(shard.items) for shard in earlier)
    added = []
    for name, members in groups.items():
        for begin in range(0, len(members), size):
            shard = Shard(number, name, ranks[name], first, tuple(members[begin : begin + size]))
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
            stream.write(f"{json.dumps({'class': shard.class_name, 'images': shard.items})}\n".encode())


def read_shards(file: Path) -> list[Shard]:
    """Read the list; none if there is no such file.

    Raises:
        ArtifactError: it is damaged.
    """
    shards: list[Shard] = []
    try:
        with file.open(encoding="utf-8") as stream:
            _refuse_another_version(next(stream))
            ranks: Counter[str] = Counter()
            first = 0
            for name, items in _entries(stream):
                shards.append(Shard(len(shards), name, ranks[name], first, items))
                ranks[name] += 1
                first += len(items)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, StopIteration, RecursionError) as error:
        raise ArtifactError(f"{file} is damaged: {first_line(error)}.\nScan into another folder.") from error
    return shards


def _refuse_another_version(line: str) -> None:
    if json.loads(line) != {_KEY: 1}:
        raise ValueError("it is of another version")


def _entries(lines: Iterator[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in lines:
        entry = json.loads(line)
        items = tuple(map(str, entry["images"]))
        # Only what is below the folder is read, whoever wrote the list.
        if not items or any(PurePosixPath(item).is_absolute() or ".." in PurePosixPath(item).parts for item in items):
            raise ValueError("it lists a path outside of the folder")
        yield str(entry["class"]), items


def _hashed(item: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\n".encode() + os.fsencode(item)).digest()
