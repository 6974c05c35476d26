"""`make fuzzing`: 3,000 changed files through all commands that read them: does each end well, and harm nothing?

    python -m proofs.fuzzing artifacts/reliability.md  # all, anew
    python -m proofs.fuzzing artifacts/reliability.md --resume  # what has no row yet
    python -m proofs.fuzzing artifacts/reliability.md --only 1234  # this one again: its command and what it printed

A mutant's number says all of it: the command, the file, and what happens to that. It runs in a process forked from this
one, which has imported everything, in a folder of its own, under limits of time and memory. The rows are kept beside
the page (`reliability.jsonl`). It exits with 1 if any mutant did what no command may do (`harm.py`).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from proofs.fuzzing_corpus import FORMATS, rehash
from proofs.fuzzing_place import Place, import_everything
from proofs.limited_process import Ended
from proofs.mutations import mutate
from proofs.reliability_page import read_rows, write_page

__all__ = ["MUTANTS", "Mutant", "judge", "make_mutant"]

Row = dict[str, Any]
MUTANTS = 3000
_SEED = "layerprobe"
_REHASHED = 0.85
"""Share of the mutants of an artifact's files whose hash is entered in the manifest, so that they are read."""
_TURNS = [name for name, each in FORMATS.items() for _ in range(each.share)]
_AT_ONCE = 50
"""Rows that are written at once."""


class Mutant(NamedTuple):
    """What a number stands for."""

    number: int
    format: str
    file: str
    command: str
    mutation: str

    @property
    def goes_on_in(self) -> str | None:
        """The folder that the command goes on in."""
        return FORMATS[self.format].goes_on_in


def make_mutant(place: Place, number: int) -> Mutant:
    """Change a file in place, as the number says."""
    random = Random(f"{_SEED} {number}")
    name = _TURNS[number % len(_TURNS)]
    kind = FORMATS[name]
    command = kind.commands[number // len(_TURNS) % len(kind.commands)]
    file = random.choice([file for file in kind.files if "{}" in command or file in command] or kind.files)
    place.renew()
    target = place.path / file
    mutation = mutate(target, kind.form, random)
    if kind.hashed and random.random() < _REHASHED and target.is_file() and target.stat().st_size < 2**26:
        rehash(target.parent, target.name)
    return Mutant(number, name, file, command.replace("{}", file), mutation)


def judge(place: Place, number: int) -> tuple[Row, Ended]:
    """Run a mutant, and return its row and how it ended."""
    mutant = make_mutant(place, number)
    ended, harm = place.judge(mutant.command, mutant.goes_on_in)
    lines = [line for line in (ended.err or ended.out).splitlines() if line.strip()]
    return {
        **mutant._asdict(),
        "code": ended.code,
        "seconds": round(ended.cpu_s, 2),
        "megabytes": ended.peak_bytes >> 20,
        "said": lines[0][:200] if lines else "",
        "harm": harm,
    }, ended


def check_right_files(place: Place) -> None:
    """Check that every command reads its files to the end as they are: otherwise, a change of them would show nothing.

    Raises:
        RuntimeError: one doesn't.
    """
    for kind in FORMATS.values():
        for command in kind.commands:
            place.renew()
            ended, harm = place.judge(command.replace("{}", kind.files[0]), kind.goes_on_in)
            if ended.code or harm:
                raise RuntimeError(f"layerprobe {command} of {kind.files[0]}: {harm}, {ended.err}")


def run(page: Path, numbers: Sequence[int], *, resume: bool, folder: Path) -> int:
    """Run mutants in a folder, write page and rows, and return the exit code."""
    rows = {row["number"]: row for row in read_rows(page)["mutants"]} if resume else {}
    place = Place(folder)
    if len(numbers) == MUTANTS:  # a shorter run has no time for it
        check_right_files(place)
    wanted = [number for number in numbers if number not in rows]
    for count, number in enumerate(wanted, 1):
        row, _ = judge(place, number)
        rows[number] = row
        print(f"{count}/{len(wanted)} #{number} {row['code']} {row['format']}, {row['mutation']}: {row['said'][:100]}")
        for each in row["harm"]:
            print(f"  HARM #{number} {row['command']}: {each}", flush=True)
        if count % _AT_ONCE == 0 or count == len(wanted):
            write_page(page, "mutants", [rows[number] for number in sorted(rows)])
    return int(any(rows[number]["harm"] for number in numbers))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make fuzzing")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("--mutants", type=int, default=MUTANTS, metavar="N", help="how many")
    parser.add_argument("--only", type=int, action="append", metavar="NUMBER", help="print all of these, write nothing")
    parser.add_argument("--resume", action="store_true", help="skip the mutants that already have rows")
    arguments = parser.parse_args()
    import_everything()
    with tempfile.TemporaryDirectory(prefix="layerprobe-fuzzing-") as made:
        if not arguments.only:
            sys.exit(run(arguments.page, range(arguments.mutants), resume=arguments.resume, folder=Path(made)))
        place = Place(Path(made))
        rows = [_print(*judge(place, number)) for number in arguments.only]
        sys.exit(int(any(row["harm"] for row in rows)))


def _print(row: Row, ended: Ended) -> Row:
    print(json.dumps(row, indent=1), ended.out, ended.err, sep="\n--\n", flush=True)
    return row


if __name__ == "__main__":
    main()
