"""`make kills`: commands that are killed at random moments: is what was there before whole, or what they write?

    python -m proofs.kills artifacts/reliability.md  # all, anew
    python -m proofs.kills artifacts/reliability.md --kills 10  # of each command

SIGKILL, SIGTERM and SIGINT in turn, at a moment between a command's start and its usual end, by a fixed seed. Every
fourth command is a new process, which imports for most of its time; the others run in a process that has imported
everything. Half of the targets exist before. The rows are kept beside the page (`reliability.jsonl`).
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from PIL import Image

from proofs.fuzzing_place import Place, import_everything
from proofs.harm import TOLD, left_behind, listing, why_half
from proofs.limited_process import Ended, Kill
from proofs.reliability_page import write_page

__all__ = ["JOBS", "Job", "harm_of", "kill_once", "state_of"]

Row = dict[str, Any]
KILLS = 100
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_ENDED_BY = {signal.SIGTERM: (143, "layerprobe: terminated"), signal.SIGINT: (130, "layerprobe: interrupted")}
_PHOTOS = 150


class Job(NamedTuple):
    """A command that is killed."""

    command: str
    earlier: str = ""
    """Writes what is there before."""
    target: str = ""
    is_new: Callable[[Path], bool] = lambda _path: True
    """Whether a whole target is what the command writes, and not what was there before."""
    goes_on: bool = False
    """Whether the target is a folder that grows file by file, and that the repeated command completes."""


def _mean(path: Path) -> list[float]:
    mean: list[float] = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["preprocessing"]["mean"]
    return mean


def _tensors(path: Path) -> int:
    content = path.read_bytes()
    return content[8 : 8 + int.from_bytes(content[:8], "little")].count(b'"dtype"')


def _same_tables(path: Path) -> bool:
    """Return whether a scan has the tables of one that nobody killed, to the last bit."""
    unbroken = path.parents[1] / "earlier" / "unbroken" / path.name
    return {name: held for name, held in listing(path).items() if name.endswith(".parquet")} == {
        name: held for name, held in listing(unbroken).items() if name.endswith(".parquet")
    }


_EXPORT = "export net.py:make -o out/new --input-size 16 --overwrite --std 0.2,0.2,0.2"
_RUN = "run art many -o out/run.safetensors"
_SCAN = "scan art many -o out/scan --shard 16"
_COMPARE = "scan art many -o out/compared --shard 16 --against theirs.onnx"

JOBS = {
    "export": Job(
        f"{_EXPORT} --mean 0.1,0.1,0.1", f"{_EXPORT} --mean 0.9,0.9,0.9", "new", lambda path: _mean(path) == [0.1] * 3
    ),
    "run": Job(
        _RUN,
        "run art photos/a.png -o out/run.safetensors --outputs norm",
        "run.safetensors",
        lambda path: _tensors(path) > 1,
    ),
    "stats": Job("stats many"),
    # Of whole shards, so that the list of images is the same with and without it.
    "scan": Job(_SCAN, f"{_SCAN} --limit 48", "scan", _same_tables, goes_on=True),
    "scan --against": Job(_COMPARE, f"{_COMPARE} --limit 48", "compared", _same_tables, goes_on=True),
}


def prepare(place: Place) -> None:
    """Write the photos that are read, and by job what is there before.

    Raises:
        RuntimeError: a command fails that isn't killed.
    """
    for name in ("many", "earlier"):
        (place.path / name).mkdir()
    for number in range(_PHOTOS):
        Image.new("RGB", (160, 120), (number, 90, 30)).resize((400, 300)).save(place.path / "many" / f"{number:03}.jpg")
    for job, does in JOBS.items():
        _empty(place)
        if does.earlier and (ended := place.run(does.earlier)).code:
            raise RuntimeError(f"layerprobe {does.earlier} failed: {ended.err}")
        shutil.copytree(place.path / "out", place.path / "earlier" / job)
    _empty(place)
    for command in (_SCAN, _COMPARE):
        if (ended := place.run(command)).code:
            raise RuntimeError(f"layerprobe {command} failed: {ended.err}")
    shutil.copytree(place.path / "out", place.path / "earlier" / "unbroken")


def kill_once(place: Place, job: str, number: int, usual_s: float, *, new: bool) -> Row:
    """Kill a command, look at what is left, and repeat it."""
    random = Random(f"{job} {number}")
    does, sent = JOBS[job], _SIGNALS[number % len(_SIGNALS)]
    _empty(place)
    if existed := bool(does.earlier) and random.random() < 0.5:
        shutil.copytree(place.path / "earlier" / job, place.path / "out", dirs_exist_ok=True)
    out = place.path / "out"
    before = listing(out)
    moment = random.random()
    ended = place.run(does.command, Kill(moment * usual_s, sent), new=new)
    state = state_of(does, out, before)
    left = [*left_behind(out), *listing(place.path / "tmp")]
    harm = [*harm_of(ended, sent, state, left, existed=existed)]
    again = place.run(does.command)
    if again.code:
        harm.append(f"repeated, it fails: {again.err[:200]}")
    elif does.target and state_of(does, out, before) != "new":
        harm.append(f"repeated, it leaves the target {state_of(does, out, before)}")
    if remaining := [*left_behind(out), *listing(place.path / "tmp")]:
        harm.append(f"repeated, it leaves {', '.join(remaining)}")
    return {
        "job": job,
        "number": number,
        "signal": sent.name,
        "moment": round(moment, 3),
        "new_process": new,
        "existed": existed,
        "code": ended.code,
        "state": state,
        "left": len(left),
        "harm": harm,
    }


def _empty(place: Place) -> None:
    for name in ("out", "tmp"):
        shutil.rmtree(place.path / name)
        (place.path / name).mkdir()


def state_of(job: Job, out: Path, before: dict[str, str]) -> str:
    """Return what became of the target."""
    target = out / job.target
    if not job.target or not target.exists():
        return "absent"
    whole = [path for path in target.rglob("*") if path.is_file()] if job.goes_on else [target]
    if why := next(filter(None, map(why_half, filter(_has_a_name, whole))), None):
        return f"half: {why}"
    if job.is_new(target):
        return "new"
    if job.goes_on:
        return "unfinished"
    now = listing(out)
    return "old" if all(now.get(name) == held for name, held in before.items()) else "half: the old one, changed"


def _has_a_name(path: Path) -> bool:
    return not path.name.startswith(".")


def harm_of(ended: Ended, sent: signal.Signals, state: str, left: list[str], *, existed: bool) -> Iterator[str]:
    if "Traceback" in ended.err:
        yield f"a traceback: {ended.err.strip().splitlines()[-1][:200]}"
    if state.startswith("half") or (existed and state == "absent"):
        yield f"the target is {state}"
    if left and (ended.code == 0 or sent != signal.SIGKILL):
        yield f"it leaves {', '.join(left)}"
    code, said = _ENDED_BY.get(sent, (-sent, ""))
    # -15 and -2 are of a process that hasn't begun to run Python.
    if ended.code not in (0, code, -sent):
        yield f"exit code {ended.code}: {ended.err[:200]}"
    words = [line for line in ended.err.splitlines() if not TOLD.match(line)]
    if ended.code == code and "\n".join(words).strip() != said:
        yield f"it says {ended.err[:200]!r}"


def run(page: Path, kills: int, folder: Path) -> int:
    """Kill each command, write page and rows, and return the exit code."""
    rows, place = list[Row](), Place(folder)
    prepare(place)
    for job, does in JOBS.items():
        _empty(place)
        usual_s = {new: min(place.run(does.command, new=new).wall_s for _ in range(2)) for new in (False, True)}
        for number in range(kills):
            new = number % 4 == 3
            row = kill_once(place, job, number, usual_s[new], new=new)
            rows.append(row)
            print(
                f"{number + 1}/{kills} {job} {row['signal']} at {row['moment']}: {row['code']}, {row['state']}",
                flush=True,
            )
            for each in row["harm"]:
                print(f"  HARM {job} {number}: {each}", flush=True)
        write_page(page, "kills", rows)
    return int(any(row["harm"] for row in rows))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make kills")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("--kills", type=int, default=KILLS, metavar="N", help="of each command")
    arguments = parser.parse_args()
    import_everything()
    with tempfile.TemporaryDirectory(prefix="layerprobe-kills-") as made:
        sys.exit(run(arguments.page, arguments.kills, Path(made)))


if __name__ == "__main__":
    main()
