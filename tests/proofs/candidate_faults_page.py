"""The page of `make candidate-faults`, made of its rows."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.page import describe_machine
from proofs.foreign_faults import KINDS, MODULE_FAULTS
from proofs.foreign_files import FLOAT_MAKERS
from proofs.zoo import describe_versions

__all__ = ["as_page", "failures"]

Row = Mapping[str, Any]

ALLOWED_MISSES = 0.03
ALLOWED_PAIRS = 0.1
"""Shares of the faults, and of the files with two, that may be missed."""

WHY_MISSED: Mapping[str, str] = {
    "the bound of a ReLU6 #1": (
        "No recorded input exceeds 5 there (4.3 at most), so all that was compared is right; the report says of this "
        "output that its input is never above 6."
    ),
}
"""By job: why a fault is missed."""


def failures(rows: Iterable[Row]) -> list[Row]:
    """Return what makes the proof fail: errors, wrong matches, and missed faults if they are too many."""
    rows = list(rows)
    single, pairs = _faults(rows)
    failed = [row for row in rows if "error" in row or (row["section"] == "matching" and row["wrong"])]
    for group, allowed in ((single, ALLOWED_MISSES), (pairs, ALLOWED_PAIRS)):
        missed = [row for row in group if not row["right"]]
        failed += missed if len(missed) > allowed * len(group) else []
    return failed


def _faults(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    planted = [row for row in rows if row["section"] == "fault" and "error" not in row]
    return [row for row in planted if len(row["kinds"]) == 1], [row for row in planted if len(row["kinds"]) > 1]


def as_page(rows: Sequence[Row], missing: int) -> str:
    """Return the Markdown page; `missing` jobs have no row yet."""
    single, pairs = _faults(rows)
    matching, peers = ([row for row in rows if row["section"] == each] for each in ("matching", "peers"))
    lines = [
        "# Faults in files of other tools",
        "",
        "Made by `make candidate-faults` (`tests/proofs/candidate_faults.py`): into files of eight makers, in float32,",
        "faults are planted of the sort that public reports are about. All names in the files are lost, and",
        "`layerprobe verify FILE --against MODEL` judges each. A fault is *found* if the verdict fails, and *named* if",
        "the report's first line names the faulty operation, or one that the file computes in the same node or step.",
        "Every fault changes the file's results in ONNX Runtime.",
        "",
        f"{describe_machine()}; {time.strftime('%Y-%m-%d')}; {describe_versions()}.",
        "",
        f"**{sum(row['right'] for row in single)} of {len(single)} faults** were found and named;"
        f" {sum(row['found'] for row in single)} were found.",
        f"**Of {len(pairs)} files with two faults, both were named in {sum(row['right'] for row in pairs)}**.",
        *_matching_summary([row for row in matching if "error" not in row]),
        *([f"**{missing} jobs have not been run.**"] if missing else []),
        *(f"- {row['job']} could not be judged: {row['error']}" for row in rows if "error" in row),
        "",
        *_by_kind(single),
        *_by_maker([*single, *pairs]),
        *_pairs(pairs),
        *_missed([*single, *pairs]),
        *_matching([row for row in matching if "error" not in row]),
        *_peers([row for row in peers if "error" not in row]),
    ]
    return "\n".join(lines) + "\n"


def _by_kind(rows: Sequence[Row]) -> Iterator[str]:
    yield from ("## By kind", "", "| kind | planted | found | named | in |", "| --- | ---: | ---: | ---: | --- |")
    for kind in (*KINDS, *MODULE_FAULTS):
        own = [row for row in rows if row["kinds"] == [kind]]
        models = ", ".join(dict.fromkeys(row["model"] for row in own))
        if own:
            yield f"| {kind} | {_counts(own)} | {models} |"
    yield ""


def _counts(rows: Sequence[Row]) -> str:
    return f"{len(rows)} | {sum(row['found'] for row in rows)} | {sum(row['right'] for row in rows)}"


def _by_maker(rows: Sequence[Row]) -> Iterator[str]:
    also = [row for row in rows if _blamed_besides(row)]
    yield from ("## By maker", "", "| maker | planted | found | named |", "| --- | ---: | ---: | ---: |")
    for maker in FLOAT_MAKERS:
        yield f"| {maker} | {_counts([row for row in rows if row['maker'] == maker])} |"
    yield from (
        "",
        f"In {len(also)} of {len(rows)} files the report lists right operations as at fault, too:",
        f"{sum(len(_blamed_besides(row)) for row in also)} outputs in all.",
        "",
    )


def _blamed_besides(row: Row) -> list[str]:
    expected = {output for outputs in row["expected"] for output in outputs}
    return [output for output in row["listed"] if output not in expected]


def _pairs(rows: Sequence[Row]) -> Iterator[str]:
    yield from ("## Two faults in one file", "", "| model | maker | faults | named |", "| --- | --- | --- | --- |")
    for row in rows:
        named = sum(not set(outputs).isdisjoint(row["listed"]) for outputs in row["expected"])
        yield f"| {row['model']} | {row['maker']} | {'; '.join(row['kinds'])} | {named if row['found'] else 0} of 2 |"
    yield ""


def _missed(rows: Sequence[Row]) -> Iterator[str]:
    missed = [row for row in rows if not row["right"]]
    yield from ("## Missed" if missed else "None was missed.", "")
    for row in missed:
        what = f"named was {row['named']}" if row["found"] else "all passed"
        where = "; ".join(
            f"{detail} at {operator} (of {', '.join(outputs)})"
            for detail, operator, outputs in zip(row["details"], row["operators"], row["expected"], strict=True)
        )
        yield f"- {row['job']}, {row['model']} by {row['maker']}: {where}; {what}. {WHY_MISSED.get(row['job'], '')}"
    yield ""


def _matching_summary(rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        compared, modules = (sum(row[key] for row in rows) for key in ("compared", "modules"))
        wrong, lost = (sum(len(row[key]) for row in rows) for key in ("wrong", "lost"))
        yield (
            f"**{wrong} of {compared:,} tensors of right files were taken for another module's**;"
            f" of {modules:,} modules that a file computes, {modules - lost:,} were found"
            f" ({(modules - lost) / max(1, modules):.1%})."
        )


def _matching(rows: Sequence[Row]) -> Iterator[str]:
    yield from (
        "## Matching on right files",
        "",
        "Two exporters write into each node which module it is of. These names are read before they are lost: a match",
        "is wrong if the node is of another module than the output that it was taken for (and the source doesn't",
        "compute the very same numbers there). *Modules* are those without children that the file has nodes of.",
        "",
        "| model | maker | outputs | matched | compared | wrong | modules | not found |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    )
    for row in rows:
        counts = (row["outputs"], row["matched"], row["compared"], len(row["wrong"]), row["modules"], len(row["lost"]))
        yield f"| {row['model']} | {row['maker']} | {' | '.join(map(str, counts))} |"
    yield from ("", *(f"- {row['model']}, {row['maker']}: {each}" for row in rows for each in row["wrong"]), "")


def _peers(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    names = [name for name in rows[0]["answers"] if all(name in row["answers"] for row in rows)]
    yield from (
        "## What others say",
        "",
        f"Of {len(rows)} of these files. Each is given the file and the model's own export by torch.onnx. Polygraphy",
        "compares the results, or with `--onnx-outputs mark all` all tensors: by name, and as these are lost, by",
        "position. torch.onnx.verification is made for the program that the exporter returned: it is given that with",
        "this file in its place, where no name of an intermediate value is known. *Differs* counts files whose result",
        "it calls wrong, *names it* those in which the first tensor that it calls wrong is the faulty operation's,",
        "*right files* those without a fault that it calls wrong all the same.",
        "",
        "| | differs | names it | right files |",
        "| --- | ---: | ---: | ---: |",
        f"| layerprobe | {sum(row['found'] for row in rows)} | {sum(row['named_right'] for row in rows)} | not asked |",
    )
    for name in names:
        answers = [row["answers"][name] for row in rows]
        alarms = sum(row["right_file"][name][0] for row in rows)
        yield f"| {name} | {sum(each[0] for each in answers)} | {sum(each[2] for each in answers)} | {alarms} |"
    yield ""
