"""`make small-models`: small models of all kinds in layerprobe, in torchvision and in torch.onnx, side by side.

    python -m proofs.small_models artifacts/small_models.md  # all of them, anew
    python -m proofs.small_models artifacts/small_models.md 'recurrent:*' '*:UNet*'  # these again; other rows stay

Each model of `small_modules/` is probed, exported and verified in ONNX Runtime; its nodes are extracted with
torchvision; it is exported with torch.onnx alone. Who is right is decided by a fresh copy of the model
(`three_tools.py`). It exits with 1 if layerprobe returns a wrong value or fails with an error that isn't its own, or
verifies less than 95 % of what torch.onnx exports rightly. The rows are kept beside the page (`small_models.jsonl`).
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path

import torch

from proofs.small_modules.collection import SmallModel, small_models
from proofs.three_tools import TOOLS, Finding, Kind, judge
from proofs.zoo import describe_machine, describe_versions

WANTED = 0.95
"""How much of what torch.onnx exports rightly layerprobe must export and verify."""

_PROCESSES = 2


@dataclass(frozen=True)
class Row:
    """What each tool makes of a model, and how long the three of them took."""

    findings: dict[str, Finding]
    seconds: float

    @classmethod
    def parse(cls, line: str) -> tuple[str, "Row"]:
        """Return a model's name and its row from a line of JSON."""
        kept = json.loads(line)
        findings = {tool: Finding(Kind(kind), detail) for tool, (kind, detail) in kept["findings"].items()}
        return kept["model"], cls(findings, kept["seconds"])

    def as_json(self, name: str) -> str:
        findings = {tool: [finding.kind, finding.detail] for tool, finding in self.findings.items()}
        return json.dumps({"model": name, "findings": findings, "seconds": self.seconds})


Rows = Mapping[str, Row]


def judge_model(name: str) -> Row:
    """Return what each tool makes of a model of the collection."""
    return judge_entry(small_models()[name])


def judge_entry(entry: SmallModel) -> Row:
    findings, started = {}, time.perf_counter()
    for tool in TOOLS:
        with tempfile.TemporaryDirectory(prefix="layerprobe-small-") as folder:
            findings[tool] = judge(tool, entry, Path(folder))
    return Row(findings, time.perf_counter() - started)


def share(rows: Rows) -> tuple[int, int]:
    """Return how many models torch.onnx exports rightly, and how many of these layerprobe exports and verifies."""
    rightly = [row.findings for row in rows.values() if row.findings["torch.onnx"].kind.is_right]
    return len(rightly), sum(findings["layerprobe"].kind.is_right for findings in rightly)


def passed(rows: Rows) -> bool:
    """Return whether layerprobe returns no wrong value, fails with its own errors only, and verifies enough."""
    rightly, ours = share(rows)
    kinds = {row.findings["layerprobe"].kind for row in rows.values()}
    return kinds.isdisjoint((Kind.WRONG, Kind.INTERNAL)) and ours >= WANTED * rightly


def as_page(rows: Rows) -> str:
    """Return the Markdown page."""
    rightly, ours = share(rows)
    counts = {tool: Counter(row.findings[tool].kind for row in rows.values()) for tool in TOOLS}
    minutes = sum(row.seconds for row in rows.values()) / _PROCESSES / 60
    models = small_models()
    missing = len(models) - len(rows)
    lines = [
        "# Small models",
        "",
        "Made by `make small-models` (`tests/proofs/small_models.py`): models of a few layers, each with something",
        "that PyTorch users write (`tests/proofs/small_modules/`), in three tools. layerprobe: probed, exported and",
        "verified in ONNX Runtime. torchvision: `create_feature_extractor` with all nodes. torch.onnx:",
        "`export(dynamo=True)`, run in ONNX Runtime. What is right is what a fresh copy of the model computes: its",
        "results, on the example and on another batch if the model takes one, and what its layers return, as forward",
        "hooks see it.",
        "",
        f"**Of {rightly} models that torch.onnx exports rightly, layerprobe exports and verifies {ours}:",
        f"{100 * ours / max(rightly, 1):.1f} %.** Internal errors: {counts['layerprobe'][Kind.INTERNAL]}."
        f" Wrong values: {counts['layerprobe'][Kind.WRONG]}.",
        *([f"**{missing} models of the collection have not been run.**"] if missing else []),
        "",
        *_table(["", *TOOLS], ["---", *["---:"] * len(TOOLS)]),
        *_table(*([kind.value, *(str(counts[tool][kind]) for tool in TOOLS)] for kind in Kind)),
        "",
        f"{len(rows)} models in {minutes:.0f} minutes of two processes, whatever else the machine did;",
        f"{describe_machine()}; {time.strftime('%Y-%m-%d')}; {describe_versions()}.",
        "",
        *_table(["model", "what it is", *TOOLS], ["---"] * (2 + len(TOOLS))),
        *_table(*([name, models[name].about, *map(_cell, row.findings.values())] for name, row in rows.items())),
    ]
    return "\n".join(lines) + "\n"


def _cell(finding: Finding) -> str:
    return f"{finding.kind}: {finding.detail}" if finding.detail else finding.kind.value


def _table(*rows: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def run(page: Path, patterns: Sequence[str]) -> int:
    """Judge the models that match, write the page and return the exit code."""
    models, kept = small_models(), page.with_suffix(".jsonl")
    names = list(dict.fromkeys(name for each in patterns or ["*"] for name in models if fnmatchcase(name, each)))
    if not names:
        print(f"No small model matches {' or '.join(patterns)}.", file=sys.stderr)
        return 2
    rows: dict[str, Row] = {}
    if patterns and kept.exists():
        rows = dict(map(Row.parse, kept.read_text(encoding="utf-8").splitlines()))
    # Each with one thread: the models are too small to share one's work.
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn"), torch.set_num_threads, (1,)) as workers:
        for count, (name, row) in enumerate(zip(names, workers.map(judge_model, names), strict=True), 1):
            rows[name] = row
            print(f"{count}/{len(names)} {name}: {' | '.join(map(_cell, row.findings.values()))}", flush=True)
            ordered = {each: rows[each] for each in models if each in rows}
            kept.write_text("".join(f"{row.as_json(each)}\n" for each, row in ordered.items()), encoding="utf-8")
    page.write_text(as_page(ordered), encoding="utf-8")
    return 0 if passed(rows) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("patterns", nargs="*", help="models, or globs of them; all by default")
    arguments = parser.parse_args()
    return run(arguments.page, arguments.patterns)


if __name__ == "__main__":
    sys.exit(main())
