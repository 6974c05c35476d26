"""Images that have changed since a scan read or tried to read them: one that couldn't be read is taken anew; one that
was counted can't be taken out of the sums, so the scan is refused. A tar that was repaired is no longer listed itself.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..artifact.errors import ImageError
from .image_list import Shard, packed
from .image_place import TAR
from .tables import part_name, read_columns, read_table, write_table

__all__ = ["Taken", "drop_rows", "dropped_tars", "state_of", "superseded", "taken"]


def state_of(file: Path) -> int:
    """Return a number that changes with a file's size and time of modification; 0 if there is no file."""
    try:
        found = file.stat()
    except (OSError, ValueError):  # a name that no file can have
        return 0
    facts = f"{found.st_size} {found.st_mtime_ns}".encode()
    return 1 + int.from_bytes(hashlib.blake2b(facts, digest_size=6).digest(), "little")


@dataclass(frozen=True)
class Taken:
    """What becomes of the images that the list has already."""

    shards: list[Shard]
    """The list, with the states as they are now of what waits to be read."""
    again: list[str]
    """Images that couldn't be read and have changed since: they follow as if they were new."""


def taken(
    shards: Sequence[Shard],
    done: Mapping[str, set[int]],
    state_now: Callable[[str], int],
    images: Path,
    repaired: Collection[str] = (),
) -> Taken:
    """Hold the images of the list against what is below the folder now.

    Args:
        shards: the list.
        done: by class, the ranks of the shards that are counted.
        state_now: from an image to its state, as of `state_of`; 0 where that isn't known.
        images: the tables with a row for each image of the shards that are counted.
        repaired: tars, listed or not, that can be read to their end now.

    Raises:
        ImageError: images that were counted have changed.
        ArtifactError: a table is damaged.
    """
    found, again, changed = list[Shard](), list[str](), list[str]()
    gone = superseded(shards, repaired)
    for shard in shards:
        now = packed(map(state_now, shard.items))
        differ = [
            (number, item)
            for number, (item, old, new) in enumerate(zip(shard.items, shard.states, now, strict=True), shard.first)
            if old != new and new and number not in gone
        ]
        if shard.rank not in done.get(shard.class_name, ()):
            found.append(replace(shard, states=now))
            continue
        found.append(shard)
        if differ:
            broken = _broken(images / part_name(shard.number))
            again += [item for number, item in differ if number in broken]
            changed += [item for number, item in differ if number not in broken]
    if changed:
        which = f"{changed[0]} has" if len(changed) == 1 else f"{len(changed)} images, the first {changed[0]}, have"
        raise ImageError(
            f"{which} changed since the scan counted what was there, which can't be taken out of the sums.\n"
            "Put it back as it was, or scan into another folder with -o."
        )
    return Taken(found, again)


def superseded(shards: Sequence[Shard], repaired: Collection[str] = ()) -> set[int]:
    """Return the numbers of the images that are listed once more, further on, and of tars that were repaired: these
    were listed for what couldn't be read of them.
    """
    later, found = set(repaired), set[int]()
    for shard in reversed(shards):
        for place, item in zip(range(len(shard.items) - 1, -1, -1), reversed(shard.items), strict=True):
            if item in later:
                found.add(shard.first + place)
            later.add(item)
    return found


def dropped_tars(shards: Sequence[Shard], done: Mapping[str, set[int]], images: Path) -> set[int]:
    """Return the numbers of tars whose rows an earlier call removed, since they were repaired: they may be gone by now.

    Raises:
        ArtifactError: a table is damaged.
    """
    import pyarrow as pa

    found = set[int]()
    for shard in shards:
        tars = {number for number, item in enumerate(shard.items, shard.first) if item.endswith(TAR)}
        if tars and shard.rank in done.get(shard.class_name, ()):
            rows = read_columns(images / part_name(shard.number), {"number": pa.int64()})
            found |= tars.difference(rows["number"].to_pylist())
    return found


def drop_rows(shards: Sequence[Shard], numbers: Collection[int], images: Path) -> None:
    """Remove the rows of images with these numbers from the tables of shards, all of which are counted.

    Raises:
        ArtifactError: a table is damaged.
        OutputError: it can't be written.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for shard in shards:
        gone = [number for number in range(shard.first, shard.first + len(shard.items)) if number in numbers]
        file = images / part_name(shard.number)
        if not gone:
            continue
        known = read_columns(file, {"number": pa.int64()})["number"]
        stays = pc.invert(pc.is_in(known, pa.array(gone, pa.int64())))
        if not pc.all(stays).as_py():
            write_table(file, read_table(file).filter(stays))


def _broken(file: Path) -> set[int]:
    """Return the numbers of the images that couldn't be read."""
    import pyarrow as pa

    table = read_columns(file, {"number": pa.int64(), "error": pa.string()})
    errors = zip(table["number"].to_pylist(), table["error"].to_pylist(), strict=True)
    return {number for number, error in errors if error is not None}
