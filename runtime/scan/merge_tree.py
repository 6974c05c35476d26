"""Partial statistics on the disk, merged in a tree whose shape depends on the order of the shards alone.

Node 0-K is what shard K of a class gave; node L+1-K is the merge of nodes L-2K and L-(2K+1). Whatever is done first, by
whichever process, after however many kills: the same nodes are merged with each other, so means and variances are the
same to the last bit. Of N shards about log2 N files stay.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..artifact.errors import ArtifactError, OutputError, first_line
from ..artifact.file_reading import read_bounded
from ..artifact.file_replacement import replace_file
from .partial_statistics import PARTIAL_MARK, PartialStatistics, folded, largest_partial

__all__ = ["MergeTree"]

_NAME = re.compile(r"(\d{5})-(\d{2})-(\d{7})\.safetensors")


@dataclass(frozen=True, order=True)
class _Node:
    class_number: int
    level: int
    rank: int

    @property
    def shards(self) -> range:
        """The ranks of the shards that it covers."""
        return range(self.rank << self.level, (self.rank + 1) << self.level)

    @property
    def sibling(self) -> "_Node":
        return _Node(self.class_number, self.level, self.rank ^ 1)

    @property
    def parent(self) -> "_Node":
        return _Node(self.class_number, self.level + 1, self.rank >> 1)


class MergeTree:
    """The nodes in a folder."""

    def __init__(self, folder: Path, channels: int, outputs: int) -> None:
        """Find the nodes, and remove those whose merge was written before a kill.

        Args:
            folder: where they are; it is made on adding.
            channels: of all outputs together.
            outputs: how many there are.
        """
        self._folder, self._sizes = folder, (channels, outputs)
        files = folder.iterdir() if folder.is_dir() else ()
        found = [_Node(*map(int, match.groups())) for file in files if (match := _NAME.fullmatch(file.name))]
        self._nodes: set[_Node] = set()
        for node in sorted(found, key=lambda node: -node.level):
            if any(node.class_number == other.class_number and node.shards[0] in other.shards for other in self._nodes):
                self._remove(node)
            else:
                self._nodes.add(node)

    def done(self, class_number: int, shards: int) -> set[int]:
        """Return the ranks of the shards that are in the tree, of a class that has so many.

        Raises:
            ArtifactError: a node is of more.
        """
        nodes = [node for node in self._nodes if node.class_number == class_number]
        for node in nodes:
            if node.shards.stop > shards:
                raise ArtifactError(
                    f"{self._file(node)} is of {node.shards.stop} shards, and the list has {shards}.\n"
                    "Scan into another folder."
                )
        return {rank for node in nodes for rank in node.shards}

    def add(self, class_number: int, rank: int, partial: PartialStatistics) -> None:
        """Add what a shard gave, and merge what is complete.

        Raises:
            OutputError: it can't be written; the tree is then as before.
            ArtifactError: a node that is to be merged is damaged.
        """
        node, merged = _Node(class_number, 0, rank), []
        while node.sibling in self._nodes:
            partial = self._merged(node, partial)
            merged.append(node.sibling)
            node = node.parent
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._folder} can't be made: {first_line(error)}.") from error
        with replace_file(self._file(node), PARTIAL_MARK) as stream:
            stream.write(partial.to_bytes())
        self._nodes = (self._nodes - set(merged)) | {node}
        for each in merged:
            self._remove(each)

    def _merged(self, node: _Node, partial: PartialStatistics) -> PartialStatistics:
        """Return a node's statistics merged with its sibling's."""
        other = self._read(node.sibling)
        return other.merged(partial) if node.rank % 2 else partial.merged(other)

    def statistics(self, class_number: int) -> PartialStatistics:
        """Return the statistics of all shards of a class, merged in their order.

        Raises:
            ArtifactError: a node is damaged.
        """
        return folded(self._roots(class_number), self._sizes[0])

    def _roots(self, class_number: int) -> Iterator[PartialStatistics]:
        for node in sorted(self._nodes, key=lambda node: node.shards[0]):
            if node.class_number == class_number:
                yield self._read(node)

    def _read(self, node: _Node) -> PartialStatistics:
        file = self._file(node)
        try:
            content = read_bounded(file, largest_partial(*self._sizes))
        except OSError as error:
            raise ArtifactError(f"{file} can't be read: {first_line(error)}.\nScan into another folder.") from error
        return PartialStatistics.from_bytes(content, file, *self._sizes)

    def _file(self, node: _Node) -> Path:
        return self._folder / f"{node.class_number:05d}-{node.level:02d}-{node.rank:07d}.safetensors"

    def _remove(self, node: _Node) -> None:
        with suppress(OSError):
            self._file(node).unlink()
