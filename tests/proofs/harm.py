"""What no command may do, whatever it was given: checked by what it printed, how it ended and what it left."""

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from proofs.limited_process import Ended
from runtime.artifact.folder import open_artifact

__all__ = ["OWN_LINES", "TOLD", "harm_done", "left_behind", "listing", "why_half"]

EXIT_CODES = (0, 1, 2, 3, 4)
MOST_LINES = 4
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_TOLD = (
    r"The averaged probe is verified separately: |\S+ is left out: |images: \d|photos/|theirs: |net: |"
    "model: its nodes are not in an order|images that an earlier "
)
TOLD = re.compile(_TOLD)
"""How lines begin that a command says on stderr beside an error, or before it ends."""
OWN_LINES = re.compile(f"layerprobe: |{_TOLD}")
"""How lines of errors begin; one more may follow an error."""


def listing(folder: Path) -> dict[str, str]:
    """Return everything below a folder, each with what it holds."""
    return {str(path.relative_to(folder)): _held(path) for path in sorted(folder.rglob("*"))}


def _held(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(mode):
        status = path.stat()
        if status.st_size > 2**26:  # a hole
            return f"{status.st_size} bytes of {status.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return str(stat.S_IFMT(mode))


def harm_done(
    ended: Ended, before: Mapping[str, str], place: Path, out: str, goes_on_in: str | None = None
) -> Iterator[str]:
    """Yield each thing that should not be.

    Args:
        ended: how the command ended.
        before: the listing of `place` as it began.
        place: holds all that it was given, the folder for its results among them.
        out: the name of that folder.
        goes_on_in: the name of a folder with what an earlier command wrote, which this one may change.
    """
    yield from _of_the_end(ended)
    yield from _of_the_text(ended)
    after = listing(place)
    for name in sorted({*before, *after}):
        if (
            not name.startswith((f"{out}/", f"{goes_on_in}/"))
            and name not in (out, goes_on_in)
            and before.get(name) != after.get(name)
        ):
            yield f"{'changed' if name in before and name in after else 'made' if name in after else 'removed'}: {name}"
    yield from _of_results(place / out, ended)
    if goes_on_in is not None:
        yield from (f"left behind: {name}" for name in left_behind(place / goes_on_in))


def _of_the_end(ended: Ended) -> Iterator[str]:
    if ended.hangs:
        yield "hangs"
    elif ended.code < 0:
        yield f"ended by signal {-ended.code}"
    elif ended.code not in EXIT_CODES:
        yield f"exit code {ended.code}"


def _of_the_text(ended: Ended) -> Iterator[str]:
    both = ended.out + ended.err
    if "Traceback (most recent call last)" in both:
        yield "a traceback"
        return
    if _CONTROLS.search(both):
        yield "control characters"
    lines = [line for line in ended.err.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if not OWN_LINES.match(line) and not lines[number - 1].startswith("layerprobe: "):
            yield f"a library's words: {line[:150]}"
    if len(lines) > MOST_LINES:
        yield f"{len(lines)} lines of errors"
    if ended.code in (2, 3, 4) and not both.strip():
        yield "an error without a word"


def _of_results(folder: Path, ended: Ended) -> Iterator[str]:
    yield from (f"left behind: {name}" for name in left_behind(folder))
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".layerprobe-") and (why := why_half(path)) is not None:
            yield f"half written: {path.name}: {why}"


def left_behind(folder: Path) -> list[str]:
    """Return what in a folder was never completed."""
    return [path.name for path in folder.rglob(".layerprobe-*")]


def why_half(path: Path) -> str | None:
    """Return why a result isn't whole; None if it is."""
    try:
        if path.is_dir():
            artifact = open_artifact(path)
            for name in artifact.manifest.files:
                artifact.file(name)
        elif path.suffix == ".safetensors":
            content = path.read_bytes()
            length = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + length])
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            if len(content) != 8 + length + max(ends, default=0):
                return "its length"
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                [arrays[name] for name in arrays]
        elif path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".jsonl":
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()
        elif not path.read_text(encoding="utf-8").rstrip().endswith((">",)):
            return "its end"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
