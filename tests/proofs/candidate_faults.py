"""`make candidate-faults`: faults in files of other tools, whose names are lost: is each found, and is it named?

    python -m proofs.candidate_faults artifacts/candidate_faults.md  # all of it, anew
    python -m proofs.candidate_faults artifacts/candidate_faults.md --resume  # what has no row yet
    python -m proofs.candidate_faults artifacts/candidate_faults.md 'GELU*' 'two at once*'  # these again

A fault is found if the verdict fails, and named if the operation that the report names is the faulty one, or the
output of the model in which the file computes it. The rows are kept beside the page (`candidate_faults.jsonl`), and
both are rewritten after each job. It exits with 1 if more than 3 of 100 faults are not found and named, more than 2 of
20 pairs, or if a tensor of a right file is taken for another.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from proofs.candidate_faults_page import as_page, failures
from proofs.candidate_peers import ask_peers
from proofs.candidate_planting import plant
from proofs.foreign_faults import LARGE, jobs
from proofs.foreign_files import Workshop, judge
from proofs.judging import quiet_exports
from proofs.matching_truth import TOLD_MAKERS, judge_matching
from proofs.zoo import replace_file
from runtime import Report
from runtime.artifact.errors import first_line
from runtime.verdict.headline import severity

__all__ = ["main"]

Row = dict[str, Any]

_FAULTS = jobs()


def judge_fault(job: str, work: Workshop) -> Row:
    """Plant and judge what a job says.

    Raises:
        ValueError: no file has a place for it.
    """
    number = list(_FAULTS).index(job)
    planted = plant(_FAULTS[job], number, work)
    if planted is None:
        raise ValueError("no file has a place for it where the result feels it")
    begun = time.perf_counter()
    report = judge(planted.file, planted.right.source, work.emptied("judged"))
    row = {
        "kinds": [kind for kind, _ in _FAULTS[job]],
        "model": planted.right.model,
        "maker": planted.right.maker,
        "operators": planted.operators,
        "details": planted.details,
        "expected": [sorted(each) for each in planted.expected],
        "shown_by": planted.shown_by,
        "seconds": round(time.perf_counter() - begun, 1),
    }
    if not isinstance(report, Report):
        return {**row, "found": True, "named": None, "listed": [], "right": False, "headline": report}
    named, listed = _named(report), _listed(report)
    right = named is not None and any(named in each for each in planted.expected)
    all_listed = all(not each.isdisjoint(listed) for each in planted.expected)
    return {
        **row,
        "found": not report.passed,
        "named": named,
        "listed": listed,
        "right": right and (all_listed or len(planted.expected) == 1),
        "headline": report.headline,
    }


def _named(report: Report) -> str | None:
    """Return the output that the report's first line names."""
    blamed = [runner for runner in report.runners if runner.verdict.fails and runner.culprit]
    worst = max(blamed, key=severity, default=None)
    return worst.culprit.output if worst and worst.culprit else None


def _listed(report: Report) -> list[str]:
    """Return the outputs at which the report says that the file is at fault."""
    file = report.runners[0]
    return [each.name for each in file.outputs if each.failed and each.verdict != "inherited"]


def judge_peers(job: str, work: Workshop) -> Row:
    """Return what others say of a job's file, and of the right one.

    Raises:
        ValueError: no file has a place for the fault.
    """
    name = _PEERS[job]
    row = judge_fault(name, work)
    planted = plant(_FAULTS[name], list(_FAULTS).index(name), work)
    assert planted is not None
    made, _ = work.model(planted.right.model)
    return {
        "kinds": row["kinds"],
        "found": row["found"],
        "named_right": row["right"],
        "right": True,
        "answers": ask_peers(planted.file, planted.right, planted.expected, made),
        "right_file": ask_peers(planted.right.file, planted.right, [], made),
    }


_PEERS = {f"peers {name}": name for name in list(_FAULTS)[::8] if len(_FAULTS[name]) == 1}
_MATCHING = {f"matching {model} {maker}": (model, maker) for model in LARGE for maker in TOLD_MAKERS}

SECTIONS: dict[str, tuple[Sequence[str], Callable[[str, Workshop], Row]]] = {
    "fault": (list(_FAULTS), judge_fault),
    "matching": (list(_MATCHING), lambda job, work: judge_matching(*_MATCHING[job], work)),
    "peers": (list(_PEERS), judge_peers),
}
"""By section, its jobs and what does one."""


def run(page: Path, patterns: Sequence[str], *, resume: bool, folder: Path) -> int:
    """Do the requested jobs in a folder and return the exit code; page and rows are written after each."""
    everything = {job: section for section, (names, _) in SECTIONS.items() for job in names}
    chosen = [job for job in everything if not patterns or any(fnmatchcase(job, each) for each in patterns)]
    if not chosen:
        print(f"No job matches {' or '.join(patterns)}; the first is {next(iter(everything))}.", file=sys.stderr)
        return 2
    kept = page.with_suffix(".jsonl")
    rows = {row["job"]: row for row in _read(kept)} if patterns or resume else {}
    wanted = [job for job in chosen if not (resume and job in rows)]
    work = Workshop(folder)
    for count, job in enumerate(wanted, 1):
        rows[job] = {"job": job, "section": everything[job], "date": time.strftime("%Y-%m-%d")}
        try:
            rows[job] |= SECTIONS[everything[job]][1](job, work)
        except Exception as error:
            rows[job]["error"] = first_line(error)
        print(f"{count}/{len(wanted)} {job}: {_said(rows[job])}", flush=True)
        ordered = [rows[each] for each in everything if each in rows]
        replace_file(kept, "".join(json.dumps(row) + "\n" for row in ordered))
        replace_file(page, as_page(ordered, len(everything) - len(ordered)))
    return int(bool(failures([rows[job] for job in chosen])))


def _read(kept: Path) -> Iterable[Row]:
    return map(json.loads, kept.read_text(encoding="utf-8").splitlines()) if kept.exists() else ()


def _said(row: Row) -> str:
    if "error" in row:
        return f"error: {row['error']}"
    if row["section"] == "matching":
        wrong, lost = row["wrong"][:9], row["lost"][:9]
        return f"{len(row['wrong'])} of {row['compared']} wrong {wrong}; {row['modules']} modules, lost {lost}"
    if row["section"] == "peers":
        return f"{row['answers']}, of the right file {row['right_file']}"
    what = "named" if row["right"] else "FOUND, NOT NAMED" if row["found"] else "MISSED"
    return f"{what}; {row['model']}, {row['maker']}: {row['details']}; {row['expected']}, listed {row['listed']}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make candidate-faults")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("patterns", nargs="*", metavar="JOB", help="globs of jobs; all by default")
    parser.add_argument("--resume", action="store_true", help="skip the jobs that already have rows")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep artifacts and right files, for another run")
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    quiet_exports()
    with tempfile.TemporaryDirectory(prefix="layerprobe-candidate-faults-") as made:
        folder = arguments.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        sys.exit(run(arguments.page, arguments.patterns, resume=arguments.resume, folder=folder))


if __name__ == "__main__":
    main()
