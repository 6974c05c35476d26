"""What the proofs have in common that judge files model by model: rows kept beside the page, and the command line."""

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from proofs.zoo import replace_file

__all__ = ["ModelProof"]


class _Row(Protocol):
    model: str


RowType = TypeVar("RowType", bound=_Row)


@dataclass(frozen=True)
class ModelProof(Generic[RowType]):
    """A page of rows, a few for each model."""

    command: str
    """`make candidates`."""
    models: Sequence[str]
    row: Callable[..., RowType]
    """Makes a row, a data class, of its fields."""
    rows_of: Callable[[str, Path], Iterator[RowType]]
    """Judges a model's files, by its name and an empty folder."""
    place: Callable[[RowType], Any]
    """What the rows are ordered by."""
    said: Callable[[RowType], str]
    """What is printed of a row."""
    as_page: Callable[[Sequence[RowType]], str]
    is_good: Callable[[RowType], bool]

    def run(self, page: Path, patterns: Sequence[str]) -> int:
        """Judge the files of the models that match, write the page after each model, and return the exit code."""
        names = [name for name in self.models if any(fnmatchcase(name, each) for each in patterns or ["*"])]
        kept = page.with_suffix(".jsonl")
        if patterns and page.exists() and not kept.exists():
            print(f"{kept} is missing, so {page} would lose its other rows: write to another page.", file=sys.stderr)
            return 2
        rows: list[RowType] = []
        if patterns and kept.exists():
            rows = [self.row(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]
        for number, name in enumerate(names, 1):
            rows = [row for row in rows if row.model != name]
            with tempfile.TemporaryDirectory() as folder:
                for row in self.rows_of(name, Path(folder)):
                    rows.append(row)
                    print(f"{number}/{len(names)} {name}: {self.said(row)}", flush=True)
            rows.sort(key=self.place)
            replace_file(kept, "".join(json.dumps(asdict(row)) + "\n" for row in rows))
            replace_file(page, self.as_page(rows))
        return int(not all(map(self.is_good, rows)))

    def main(self) -> None:
        """Run the command line."""
        parser = argparse.ArgumentParser(prog=self.command)
        parser.add_argument("page", type=Path)
        parser.add_argument("patterns", nargs="*", metavar="MODEL")
        arguments = parser.parse_args()
        torch.set_num_threads(1)
        logging.disable(logging.WARNING)
        sys.exit(self.run(arguments.page, arguments.patterns))
