"""Take models of torchvision and timm the whole way, each in a process of its own, and write the table.

    python -m proofs.zoo artifacts/zoo.md  # all of them, anew
    python -m proofs.zoo artifacts/zoo.md --resume  # those that have no row yet, after a run was stopped
    python -m proofs.zoo artifacts/zoo.md 'torchvision:resnet*'  # these again; the other rows stay
    python -m proofs.zoo mine.md 'timm:*' --resume  # into a table of its own

What `nodes`, `export` and `verify` do, on ONNX Runtime (CPU) and TorchScript, with fresh weights of seed 0 and random
input: nothing is downloaded. The rows are kept beside the table (`zoo.jsonl`). It exits with 1 if a model fails.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from proofs.zoo_models import weights_count, zoo_models

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
"""In which a process of its own finds `benchmarks` and `proofs`, as this one does."""
RUNNERS = ("onnx-cpu", "torchscript")
SOUND = ("pass", "unproven")
"""The verdicts that a sound model may have."""
LIMIT_S = 1200
"""For one model."""

Row = dict[str, Any]


def take_the_whole_way(name: str, folder: Path) -> Row:
    """Return the table's row of one model. Runs in a process of its own, whose peak memory it reports."""
    row: Row = {"model": name, "stage": "load"}
    try:
        _measure(row, folder)
    except Exception as error:
        line = (str(error).strip().splitlines() or [""])[0]
        row["error"] = f"{row['stage']}: {type(error).__name__}: {line}"[:300]
    row["peak_mb"] = peak_bytes() / 2**20
    return row


def peak_bytes() -> int:
    """Return this process's own peak memory; on Linux `ru_maxrss` starts with what the parent had, which is large."""
    from runtime.runners.peak_memory import memory_bytes

    with contextlib.suppress(OSError):
        return memory_bytes("VmHWM") or 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _measure(row: Row, folder: Path) -> None:
    """Fill the row as far as the model gets; `stage` is the current step."""
    from export import export_artifact
    from probe import build_probe, load_model
    from runtime import open_artifact, verify

    loaded = load_model(row["model"])
    row["parameters"] = sum(parameter.numel() for parameter in loaded.module.parameters())
    row["stage"], started = "probe", time.perf_counter()
    probe = build_probe(loaded.module, *loaded.example, kwargs=loaded.kwargs)
    row["probe_s"] = time.perf_counter() - started
    row |= {
        "input": " x ".join(map(str, probe.inputs[0].shape)),
        "capture": probe.capture,
        "capture_reason": probe.capture_reason,
        "outputs": len(probe.outputs),
        "skipped": len(probe.skipped),
        "aliases": sum(output.alias_of is not None for output in probe.outputs),
        "unknown_layouts": sum("?" in output.layout for output in probe.outputs),
    }
    row["stage"] = "compare"
    row["faithful"] = returns_what_the_model_does(loaded.module, probe)
    row["stage"], started = "export", time.perf_counter()
    export_artifact(probe, folder / "artifact", name=row["model"])
    row["export_s"] = time.perf_counter() - started
    # The runners have weights of their own.
    del probe, loaded
    row["stage"], started = "verify", time.perf_counter()
    artifact = open_artifact(folder / "artifact")
    row["opset"] = artifact.manifest.versions.opset
    report = verify(artifact, RUNNERS)
    row["verify_s"] = time.perf_counter() - started
    for runner in report.runners:
        # No number is worse than any number: NaN, a missing output, a wrong shape.
        worst = max(runner.outputs, key=lambda output: float("inf") if output.drift is None else output.drift)
        row[runner.name] = {
            "verdict": runner.verdict,
            "first": runner.first_failing,
            "failed": sum(output.failed for output in runner.outputs),
            "drift": worst.drift,
            "worst": worst.name,
        }
    row["stage"] = "done"


def returns_what_the_model_does(model: Any, probe: Any) -> bool:
    """Return whether probe and model agree to the last bit on noise (the example's zeros often give zeros)."""
    import torch

    from probe.observe.results import walk

    image = probe.noise_input()
    with torch.no_grad():
        probed = probe(*image)
        returned = {path: value for path, value in walk(model.eval()(*image)) if isinstance(value, torch.Tensor)}
    return returned.keys() == probe.results.keys() and all(
        torch.equal(value, probed[probe.results[path]]) for path, value in returned.items()
    )


def run_apart(name: str) -> Row:
    """Take one model the whole way in a fresh process; an error becomes its row."""
    # The folder is this process's, so that it is removed even if the other one is killed.
    with tempfile.TemporaryDirectory(prefix="layerprobe-zoo-") as folder:
        command = [sys.executable, "-W", "ignore", __file__, "--one", name, folder]
        try:
            done = subprocess.run(
                command, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            row = {"model": name, "error": f"not done after {LIMIT_S} s"}
        else:
            row = _read_row(name, done)
    return row | {"date": time.strftime("%Y-%m-%d"), "made_with": describe_versions()}


def _read_row(name: str, done: subprocess.CompletedProcess[str]) -> Row:
    if done.returncode == 0:
        row: Row = json.loads(done.stdout.splitlines()[-1])
        return row
    if done.returncode == -signal.SIGKILL:
        return {"model": name, "error": "killed, most likely out of memory"}
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return {"model": name, "error": f"exit {done.returncode}: {lines[-1] if lines else ''}"[:300]}


def passed(row: Row) -> bool:
    """Return whether the probe returns what the model does, and both runners what the probe does."""
    return "error" not in row and row["faithful"] and all(row[runner]["verdict"] in SOUND for runner in RUNNERS)


def verdict_of(row: Row) -> str:
    if "error" in row:
        return str(row["error"])
    if not row["faithful"]:
        return "the probe's results differ from the model's"
    failed = {runner: row[runner] for runner in RUNNERS if row[runner]["verdict"] not in SOUND}
    failures = [
        f"{runner}: {found['verdict']}, {found['failed']} outputs, {found['first']} first"
        for runner, found in failed.items()
    ]
    return "; ".join(failures) or "pass"


def describe_versions() -> str:
    versions = [f"Python {platform.python_version()}"]
    for package in ("torch", "torchvision", "timm", "onnx", "onnxruntime-gpu", "onnxruntime"):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    return ", ".join(versions)


def describe_machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"


_COLUMNS: tuple[tuple[str, str], ...] = (
    ("model", "---"),
    ("input", "---"),
    ("M weights", "---:"),
    ("captured by", "---"),
    ("outputs", "---:"),
    ("skipped", "---:"),
    ("aliases", "---:"),
    ("layout unknown", "---:"),
    ("opset", "---:"),
    ("probe s", "---:"),
    ("export s", "---:"),
    ("verify s", "---:"),
    ("peak MiB", "---:"),
    ("drift ONNX", "---:"),
    ("drift TorchScript", "---:"),
    ("verdict", "---"),
)


def as_table(rows: Sequence[Row]) -> str:
    """Return the Markdown page."""
    good = sum(map(passed, rows))
    exported = sum(row.get("capture") == "export" for row in rows)
    dates = sorted({row["date"] for row in rows})
    missing = len(zoo_models()) - len(rows)
    lines = [
        "# The zoo",
        "",
        "Made by `make zoo` (`tests/proofs/zoo.py`). Each model has a process of its own: fresh",
        "weights of seed 0, random input, one image; probe; comparison with the model, to the last bit; export to ONNX",
        "and TorchScript with the float64 reference; verification on ONNX Runtime (CPU) and TorchScript.",
        "`tests/proofs/zoo_models.py` says which models, and why these.",
        "",
        f"**{good} of {len(rows)} models pass on both runners**, {sum(row.get('outputs', 0) for row in rows)} outputs.",
        *([f"**{missing} models of the zoo have not been run.**"] if missing else []),
        f"{exported} were captured by torch.export, the others by symbolic tracing. The drift is the largest of",
        "all outputs, in multiples of float32's own error; up to 16 passes.",
        "",
        f"{describe_machine()}; {' to '.join(dict.fromkeys((dates[0], dates[-1])))}; "
        f"{'; or '.join(sorted({row['made_with'] for row in rows}))}.",
        "The seconds are of a single run, whatever else the machine did: they tell an order of magnitude.",
        "",
        *_table_lines([name for name, _ in _COLUMNS], [rule for _, rule in _COLUMNS], *map(_cells, rows)),
    ]
    return "\n".join(lines) + "\n"


def _table_lines(*rows: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def _cells(row: Row) -> list[str]:
    def number(key: str, digits: int = 0, scale: float = 1) -> str:
        return f"{row[key] / scale:.{digits}f}" if key in row else ""

    def drift(runner: str) -> str:
        if runner not in row:
            return ""
        return "none" if row[runner]["drift"] is None else f"{row[runner]['drift']:.2f}"

    return [
        row["model"],
        row.get("input", ""),
        number("parameters", 1, 1e6),
        row.get("capture", ""),
        *(number(key) for key in ("outputs", "skipped", "aliases", "unknown_layouts", "opset")),
        *(number(key, 1) for key in ("probe_s", "export_s", "verify_s")),
        number("peak_mb"),
        *map(drift, RUNNERS),
        verdict_of(row),
    ]


def run_zoo(table: Path, patterns: Sequence[str], *, resume: bool) -> int:
    """Run the requested models and return the exit code; table and rows are written after each."""
    names = zoo_models()
    kept = table.with_suffix(".jsonl")
    chosen = [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not chosen:
        print(f"No model of the zoo matches {' or '.join(patterns)}.", file=sys.stderr)
        return 2
    if patterns and table.exists() and not kept.exists():
        print(
            f"{kept} is missing, so {table} would lose its other rows: write to another table, or run all models.",
            file=sys.stderr,
        )
        return 2
    rows: dict[str, Row] = {}
    if kept.exists() and (patterns or resume):
        rows = {row["model"]: row for row in map(json.loads, kept.read_text(encoding="utf-8").splitlines())}
    wanted = sorted((name for name in chosen if not (resume and name in rows)), key=weights_count)
    for count, name in enumerate(wanted, 1):
        rows[name] = row = run_apart(name)
        print(f"{count}/{len(wanted)} {name}: {verdict_of(row)}, {row.get('outputs', 0)} outputs", flush=True)
        ordered = [rows[each] for each in names if each in rows]
        replace_file(kept, "".join(json.dumps(each) + "\n" for each in ordered))
        replace_file(table, as_table(ordered))
    return 0 if all(passed(rows[name]) for name in chosen) else 1


def replace_file(file: Path, text: str) -> None:
    """Write whole or not at all: a run that is stopped here loses no rows."""
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="the Markdown file to write")
    parser.add_argument("patterns", nargs="*", help="models, or globs of them; all by default")
    parser.add_argument("--resume", action="store_true", help="skip the models that already have a row")
    arguments = parser.parse_args()
    # A kill acts like Ctrl-C: the current model is stopped too, and its folder removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return run_zoo(arguments.table, arguments.patterns, resume=arguments.resume)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        # If memory runs out, this process is the one to be killed, none of the others.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        print(json.dumps(take_the_whole_way(sys.argv[2], Path(sys.argv[3]))))
    else:
        sys.exit(main())
