"""The page of `make fuzzing` and `make kills`, and the rows beside it that it is made of."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import describe_machine
from proofs.zoo import replace_file

__all__ = ["SECTIONS", "as_page", "read_rows", "write_page"]

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
SECTIONS = ("mutants", "kills")

FOUND = (
    "Pillow's warnings of damaged tags, NumPy's of impossible casts and PyTorch's of hooks stood on stderr beside the "
    "message; libtiff wrote to it past Python. The command line shows only what a model's own source warns of.",
    "ONNX Runtime prepared to send telemetry as it was imported, and left an identifier among the temporary files. "
    "It is told not to before.",
    "An ONNX file with a result in float8, judged `--against` a model, ended with exit code 70.",
    "Of an artifact, a file that is a hole of terabytes was hashed to its end. What is larger than the free memory is "
    "refused first.",
    "100,000 rounds of a loop, and as many in each for one within it, were allowed in float64, which takes minutes or "
    "more. Now it is 20,000 in all.",
    "What is free was the machine's memory, whatever a container's or a process's limit left of it.",
    "A signal late in `scan --against` left an empty folder among the temporary ones, once in 60: another thread "
    "had just made it. Nothing is begun any more once a signal has come.",
    "SIGKILL just as a file was made left it for ever, under a name that no later command looked for; and just before "
    "a scan's record was written, it left a folder that the same command then refused.",
    "An ONNX file whose input has no type, judged `--against` a model, ended with exit code 70.",
)
"""What these runs, also earlier ones with other mutants, found at first."""

NOT_COVERED = (
    "TorchScript, `.pt2` files and a model's source are programs, which run only where they are asked for: one that is "
    "made to do harm can. Here they are damaged, and no more.",
    "Whether a verdict on a changed file is right (`verdicts.md`, `candidate_faults.md`).",
    "GPUs, other systems than Linux, `demo`, and models whose tensors fill the memory.",
    "A loss of power: what is complete is brought to the disk before it gets its name, which no test here can show.",
)

_CODES = {0: "done", 1: "verdict fails", 2: "wrong usage", 3: "refused", 4: "no runtime"}


def read_rows(page: Path) -> Rows:
    """Return the rows beside a page, by section."""
    kept, rows = page.with_suffix(".jsonl"), {section: list[Row]() for section in SECTIONS}
    for line in kept.read_text(encoding="utf-8").splitlines() if kept.exists() else ():
        row = json.loads(line)
        rows[row.pop("section")].append(row)
    return rows


def write_page(page: Path, section: str, new: Sequence[Row]) -> None:
    """Write the rows of a section, and the page anew."""
    rows = {**read_rows(page), section: new}
    lines = [json.dumps({"section": section, **row}) for section, each in rows.items() for row in each]
    replace_file(page.with_suffix(".jsonl"), "".join(f"{line}\n" for line in lines))
    replace_file(page, as_page(rows))


def as_page(rows: Rows) -> str:
    """Return the Markdown page."""
    mutants, kills = (rows[section] for section in SECTIONS)
    lines = [
        "# Reliability",
        "",
        "What `layerprobe` does with files that are damaged or made to do harm, and when it is killed. Made by",
        "`make fuzzing` and `make kills` (`tests/proofs/fuzzing.py`, `kills.py`).",
        "",
        f"{describe_machine()}; {time.strftime('%Y-%m-%d')}.",
        "",
        *_mutants(mutants),
        *_kills(kills),
        *("", "## Found and mended", "", *(f"- {each}" for each in FOUND)),
        *("", "## Not covered", "", *(f"- {each}" for each in NOT_COVERED)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _mutants(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    harmful = [row for row in rows if row["harm"]]
    yield from (
        "## Changed files",
        "",
        f"**{len(rows):,} files were changed, each in one way, and read by a command; {len(harmful)} commands did what",
        "none may do**: end by a signal, with a traceback or with exit code 70; compute for over a minute; leave what",
        "is half written or temporary; change, make or remove anything but their result; print control characters, a",
        "library's own words, or more than four lines of errors. They may not use more than 3 GB. Whether a result",
        "is right is not judged here.",
        "",
        f"| format | mutants | {' | '.join(_CODES.values())} | did harm |",
        "| --- |" + " ---: |" * (len(_CODES) + 2),
    )
    for name, own in _grouped(rows, lambda row: row["format"]).items():
        yield f"| {name} | {_counts(own)} | {sum(bool(row['harm']) for row in own)} |"
    yield from ("", f"| command | mutants | {' | '.join(_CODES.values())} | longest, s | most memory, MB |")
    yield "| --- |" + " ---: |" * (len(_CODES) + 3)
    for name, own in sorted(_grouped(rows, lambda row: row["command"].split()[0]).items()):
        longest, most = (max(row[key] for row in own) for key in ("seconds", "megabytes"))
        yield f"| {name} | {_counts(own)} | {longest:.1f} | {most} |"
    yield from (
        "",
        "Seconds are of computing; the memory includes all that was imported.",
        "",
    )
    for row in harmful:
        harm = "; ".join(row["harm"])
        yield f"- number {row['number']}, `{row['command']}`, {row['file']}: {row['mutation']}; {harm}"
    yield ""


def _grouped(rows: Sequence[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Return the rows of each key, the keys in the order in which they come."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _counts(rows: Sequence[Row]) -> str:
    """Return how many rows there are, and how many ended with each code."""
    codes = Counter(row["code"] for row in rows)
    return " | ".join(map(str, (len(rows), *(codes[code] for code in _CODES))))


_STATES = ("new", "old", "unfinished", "absent")
"""What may become of a target."""


def _kills(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    harmful = [row for row in rows if row["harm"]]
    yield from (
        "## Kills",
        "",
        f"**{len(rows)} commands were sent a signal at a random moment; {len(harmful)} did what none may do**: leave a",
        "target that is neither the old one, whole, nor the new one, whole; lose the old one; print a traceback; leave",
        "anything temporary after SIGTERM or SIGINT; or make the same command fail, or leave something, when it is",
        "repeated. After SIGKILL an unfinished file may be left, which the repeated command removes. A quarter are new",
        "processes, which import for most of the time. A scan's target grows file by file: an unfinished one has to be",
        "completed by the repeated command, to the same tables, to the last bit.",
        "",
        "| command | signal | kills | had ended | target new | old | unfinished | absent | left over | did harm |",
        "| --- | --- |" + " ---: |" * 8,
    )
    for (job, sent), own in sorted(_grouped(rows, lambda row: (row["job"], row["signal"])).items()):
        states = Counter(row["state"] for row in own)
        counts = [len(own), sum(row["code"] == 0 for row in own), *(states[each] for each in _STATES)]
        counts += [sum(bool(row[key]) for row in own) for key in ("left", "harm")]
        yield f"| {job} | {sent} | {' | '.join(map(str, counts))} |"
    yield ""
    for row in harmful:
        yield f"- {row['job']} {row['number']}, {row['signal']}: {'; '.join(row['harm'])}"
