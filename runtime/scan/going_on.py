"""What an earlier call of a scan has done, and what is left: the list of images, and its shards that are counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..artifact.errors import UsageError
from .changed_images import state_of, taken
from .image_list import Shard, added_shards, read_shards, write_shards
from .image_place import LocalFolder
from .image_source import ImageSource
from .merge_tree import MergeTree
from .scan_folder import IMAGE_LIST
from .tables import check_whole, part_name

__all__ = ["check_tables", "class_numbers", "done_shards", "listed_shards"]


def listed_shards(
    target: Path,
    source: ImageSource,
    items: Sequence[str],
    tree: MergeTree,
    size: int,
    limit: int | None,
    *,
    sampled: bool,
    classes: bool,
) -> list[Shard]:
    """Return the shards of all images, those that were listed earlier and those that are new; and write the list.

    Args:
        target: the scan's folder.
        source: where the images are.
        items: those that may be scanned.
        tree: what is counted.
        size: images in a shard, at most.
        limit: images in the list, at most.
        sampled: whether `items` were drawn.
        classes: whether each shard is of one class.

    Raises:
        UsageError: the list has more images than `limit`.
        ImageError: images that were counted have changed.
        ArtifactError: the list, or a table, is damaged.
    """
    shards = read_shards(target / IMAGE_LIST)
    if limit is not None:
        _refuse_fewer(target, shards, limit)
    # A sample that was drawn stays as it is.
    new = () if shards and sampled else items

    def state_now(item: str) -> int:
        return _state_in(source, item)

    known = taken(shards, done_shards(tree, shards), state_now, target / "images", source.whole_tars())
    added = added_shards(
        known.shards,
        new,
        size,
        state_now,
        classes=classes,
        limit=limit,
        again=known.again,
    )
    listed = known.shards + added
    if listed != shards:
        write_shards(target / IMAGE_LIST, listed)
    return listed


def class_numbers(shards: Sequence[Shard]) -> dict[str, int]:
    """Return the classes' numbers, in the order in which the list has them first."""
    return {name: number for number, name in enumerate(dict.fromkeys(each.class_name for each in shards))}


def done_shards(tree: MergeTree, shards: Sequence[Shard]) -> dict[str, set[int]]:
    """Return by class the ranks of the shards that are counted."""
    sizes = Counter(each.class_name for each in shards)
    return {name: tree.done(number, sizes[name]) for name, number in class_numbers(shards).items()}


def check_tables(target: Path, shards: Sequence[Shard], done: Mapping[str, set[int]], *, differences: bool) -> None:
    """Refuse a folder in which a table of a shard that is counted is missing or damaged: it would be left so.

    Raises:
        ArtifactError: that is so.
    """
    for shard in shards:
        if shard.rank in done[shard.class_name]:
            check_whole(target / "images" / part_name(shard.number))
            # A shard of which no image can be read has no others.
            for folder in ("summaries", *(["differences"] if differences else [])):
                if (file := target / folder / part_name(shard.number)).exists():
                    check_whole(file)


def _refuse_fewer(target: Path, shards: Sequence[Shard], limit: int) -> None:
    images = len({item for shard in shards for item in shard.items})
    if images > limit:
        raise UsageError(
            f"{target} holds a scan of {images:,} images, of which --limit {limit} can take none out.\n"
            "Omit --limit, or choose another folder with -o."
        )


def _state_in(source: ImageSource, item: str) -> int:
    """Return what changes with an image's file, as of `state_of`, or with a tar's member: its size alone, since a tar
    that is written anew has other times; 0 for a file in a bucket, of which nothing is known.
    """
    if item in source.members:
        return 1 + source.members[item][1].size
    return state_of(source.place.path / item) if isinstance(source.place, LocalFolder) else 0
