"""`make verdicts`: checks at length that verdicts are true: no false alarm on sound models, no fault missed.

    python -m proofs.verdicts artifacts/verdicts.md  # all of it, anew
    python -m proofs.verdicts artifacts/verdicts.md --resume  # what has no row yet, after a run was stopped
    python -m proofs.verdicts artifacts/verdicts.md 'sound:trained:*' 'fault:ReLU6*'  # these again; other rows stay
    python -m proofs.verdicts mine.md 'hostile:*'  # into a page of its own

Three sections: `fault` plants each fault of `planted_faults`; `hostile` draws networks of hostile scales; `sound` takes
trained models, small ones, and one of each family of torchvision and timm with fresh weights, in every runner that
works here. The rows are kept beside the page (`verdicts.jsonl`), and both are rewritten after each job. It exits with 1
if a sound model fails or can't be judged, or more than 2 of 200 faults are not found and named.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from proofs.judging import SECTIONS, Row, Workplace
from proofs.trained_models import missing_packages
from proofs.verdicts_page import as_page, failures
from proofs.zoo import replace_file
from runtime.artifact.errors import first_line

__all__ = ["main"]


def all_jobs() -> list[str]:
    return [f"{section}:{job}" for section, (jobs, _) in SECTIONS.items() for job in jobs]


def run_job(job: str, work: Workplace) -> list[Row]:
    """Return the rows of a job; what can't be judged is a row as well."""
    section, _, name = job.partition(":")
    try:
        rows = list(SECTIONS[section][1](name, work))
    except Exception as error:
        rows = [{"model": name, "error": first_line(error)}]
    return [{**row, "job": job, "section": section, "date": time.strftime("%Y-%m-%d")} for row in rows]


def run(page: Path, patterns: Sequence[str], *, resume: bool) -> int:
    """Do the requested jobs and return the exit code; page and rows are written after each."""
    everything, kept = all_jobs(), page.with_suffix(".jsonl")
    chosen = [job for job in everything if not patterns or any(fnmatchcase(job, pattern) for pattern in patterns)]
    if not chosen:
        print(f"No job matches {' or '.join(patterns)}; the first is {everything[0]}.", file=sys.stderr)
        return 2
    if patterns and page.exists() and not kept.exists():
        print(f"{kept} is missing, so {page} would lose its other rows: write to another page.", file=sys.stderr)
        return 2
    rows: dict[str, list[Row]] = {}
    if kept.exists() and (patterns or resume):
        for row in map(json.loads, kept.read_text(encoding="utf-8").splitlines()):
            rows.setdefault(row["job"], []).append(row)
    wanted = [job for job in chosen if not (resume and job in rows)]
    with tempfile.TemporaryDirectory(prefix="layerprobe-verdicts-") as folder:
        work = Workplace(Path(folder))
        for count, job in enumerate(wanted, 1):
            rows[job] = run_job(job, work)
            for row in rows[job]:
                print(f"{count}/{len(wanted)} {job}: {_said(row)}", flush=True)
            ordered = [row for each in everything for row in rows.get(each, [])]
            replace_file(kept, "".join(json.dumps(row) + "\n" for row in ordered))
            replace_file(page, as_page(ordered, len(everything) - len(rows)))
    return int(bool(failures([row for job in chosen for row in rows.get(job, [])])))


def _said(row: Row) -> str:
    if "error" in row:
        return f"error: {row['error']}"
    if row["section"] == "fault":
        return f"{row['detail']}: {'found and named' if row['right'] else 'MISSED'}, named {row['named']}"
    return f"{row['runner']}: {row['verdict']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("patterns", nargs="*", help="jobs, as SECTION:NAME, or globs of them; all by default")
    parser.add_argument("--resume", action="store_true", help="skip the jobs that already have rows")
    arguments = parser.parse_intermixed_args()
    missing = missing_packages()
    if missing:
        print(f"No package {', '.join(missing)}: their trained models will be errors.", file=sys.stderr)
    return run(arguments.page, arguments.patterns, resume=arguments.resume)


if __name__ == "__main__":
    sys.exit(main())
