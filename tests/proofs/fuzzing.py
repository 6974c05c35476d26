"""`make fuzzing`: 3,000 changed files through all commands that read them: does each end well, and harm nothing?

    python -m proofs.fuzzing artifacts/reliability.md  # all, anew
    python -m proofs.fuzzing artifacts/reliability.md --resume  # what has no row yet
    python -m proofs.fuzzing artifacts/reliability.md --only 1234  # this one again: its command and what it printed

A mutant's number says all of it: the command, the file, and what happens to that. It runs in a process forked from this
one, which has imported everything, in a folder of its own, under limits of time and memory. The rows are kept beside
the page (`reliability.jsonl`). It exits with 1 if any mutant did what no command may do (`harm.py`).
"""

import argparse
import importlib
import json
import shlex
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, NoReturn

from PIL import Image

from proofs.fuzzing_corpus import FORMATS, make_corpus, rehash
from proofs.harm import harm_done, listing
from proofs.limited_process import Ended, Limits, run_limited
from proofs.mutations import choose_mutation
from proofs.zoo import replace_file
from runtime.main import main as layerprobe

__all__ = ["MUTANTS", "Fuzzer", "Mutant", "import_everything"]

Row = dict[str, Any]
MUTANTS = 3000
_SEED = "layerprobe"
_REHASHED = 0.85
_CANARY = "canary"
ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """What a number stands for."""

    number: int
    format: str
    file: str
    command: str
    mutation: str


class Fuzzer:
    """A folder with right files, and a place where they are changed."""

    def __init__(self, folder: Path, limits: Limits = Limits()) -> None:
        self._good, self._place, self._logs = folder / "good", folder / "place", folder / "logs"
        self._limits = limits
        self._turns = [name for name, each in FORMATS.items() for _ in range(each.share)]
        for made in (self._good, self._logs):
            made.mkdir()
        ended = self._forked(lambda: make_corpus(self._good, _exit_code), self._good, Limits(600, 600, 2**33))
        if ended.code:
            raise RuntimeError(f"the right files can't be made: {ended.err[-2000:]}")
        (self._good / "out").mkdir()
        (self._good / _CANARY).mkdir()
        (self._good / _CANARY / "kept").write_text("as it was")
        (self._good / "tmp").mkdir()

    def mutant(self, number: int) -> Mutant:
        """Change a file in a new place, as the number says."""
        random = Random(f"{_SEED} {number}")
        name = self._turns[number % len(self._turns)]
        kind = FORMATS[name]
        self.renew()
        command = kind.commands[number // len(self._turns) % len(kind.commands)]
        readable = [file for file in kind.files if "{}" in command or file in command] or kind.files
        file = random.choice(readable)
        mutation, change = choose_mutation(kind.form, random)
        target = self._place / file
        change(target, random)
        if kind.hashed and random.random() < _REHASHED and target.is_file() and target.stat().st_size < 2**26:
            rehash(target.parent, target.name)
        return Mutant(number, name, file, command.replace("{}", file), mutation)

    def renew(self) -> None:
        """Put the right files in place."""
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._good, self._place)

    def run(self, command: str) -> tuple[Ended, list[str]]:
        """Run a command line on what is in place: how it ended, and what it did that it may not."""
        before = listing(self._place)
        ended = self._forked(lambda: _layerprobe(command), self._place, self._limits)
        return ended, list(harm_done(ended, self._limits, before, self._place, "out"))

    def _forked(self, command: Callable[[], object], folder: Path, limits: Limits) -> Ended:
        home = {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / _CANARY)}
        return run_limited(command, folder, logs=self._logs, environment=home, limits=limits)


def _layerprobe(command: str) -> NoReturn:
    """Run a command line as the process of the command does."""
    tempfile.tempdir = None  # as of the environment
    sys.argv[1:] = shlex.split(command)
    layerprobe()
    raise AssertionError("the command line returned")


def _exit_code(command: str) -> int:
    try:
        _layerprobe(command)
    except SystemExit as stop:
        return int(stop.code or 0)


def import_everything() -> None:
    """Import what the commands import when they run, so that what is forked has it."""
    import matplotlib.figure
    import onnxruntime
    import rich.table
    import torch.onnx
    import torchvision

    for package in ("probe", "export", "runtime"):
        for module in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(module.relative_to(ROOT).with_suffix("").parts)
            if not name.endswith("__main__"):
                with suppress(ImportError):  # a runtime that isn't installed
                    importlib.import_module(name.removesuffix(".__init__"))
    Image.init()
    torch.set_num_threads(1)


def judge(fuzzer: Fuzzer, number: int) -> tuple[Row, Ended]:
    """Run a mutant, and return its row and how it ended."""
    mutant = fuzzer.mutant(number)
    ended, harm = fuzzer.run(mutant.command)
    lines = [line for line in (ended.err or ended.out).splitlines() if line.strip()]
    return {
        **mutant._asdict(),
        "code": ended.code,
        "seconds": round(ended.cpu_s, 2),
        "megabytes": ended.peak_bytes >> 20,
        "said": lines[0][:200] if lines else "",
        "harm": harm,
    }, ended


def run(page: Path, numbers: Sequence[int], *, resume: bool, folder: Path) -> int:
    """Run mutants in a folder, write page and rows, and return the exit code."""
    kept = page.with_suffix(".jsonl")
    rows = {row["number"]: row for row in map(json.loads, kept.read_text().splitlines())} if resume and kept.exists() else {}
    fuzzer = Fuzzer(folder)
    wanted = [number for number in numbers if number not in rows]
    for count, number in enumerate(wanted, 1):
        row, _ = judge(fuzzer, number)
        rows[number] = row
        print(f"{count}/{len(wanted)} #{number} {row['code']} {row['seconds']} s {row['format']}, {row['mutation']}: {row['said'][:100]}")
        for each in row["harm"]:
            print(f"  HARM #{number} {row['command']}: {each}", flush=True)
        if count % 50 == 0 or count == len(wanted):
            ordered = [rows[number] for number in sorted(rows)]
            replace_file(kept, "".join(json.dumps(row) + "\n" for row in ordered))
            #PAGE
    return int(any(rows[number]["harm"] for number in numbers))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make fuzzing")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("--mutants", type=int, default=MUTANTS, metavar="N", help="how many")
    parser.add_argument("--only", type=int, action="append", metavar="NUMBER", help="print all of these, write nothing")
    parser.add_argument("--resume", action="store_true", help="skip the mutants that already have rows")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this empty folder, which stays")
    arguments = parser.parse_args()
    warnings.resetwarnings()  # as in a new process, whatever this one was started with
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    import_everything()
    with tempfile.TemporaryDirectory(prefix="layerprobe-fuzzing-") as made:
        folder = arguments.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if not arguments.only:
            sys.exit(run(arguments.page, range(arguments.mutants), resume=arguments.resume, folder=folder))
        fuzzer = Fuzzer(folder)
        rows = [_print(*judge(fuzzer, number)) for number in arguments.only]
        sys.exit(int(any(row["harm"] for row in rows)))


def _print(row: Row, ended: Ended) -> Row:
    print(json.dumps(row, indent=1), ended.out, ended.err, sep="\n--\n", flush=True)
    return row


if __name__ == "__main__":
    main()
