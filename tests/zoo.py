"""Take models of torchvision and timm the whole way, each in a process of its own, and write the table.

    python tests/zoo.py artifacts/zoo.md                         # all that are not in the table's rows yet
    python tests/zoo.py artifacts/zoo.md 'torchvision:resnet*'   # these again

nodes, export and verify on ONNX Runtime (CPU) and TorchScript, with fresh weights of seed 0 and random input: nothing
is downloaded. The rows are kept beside the table (`zoo.jsonl`), so that a run that was stopped goes on.
"""

import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo_models import zoo_models

LIMIT_S = 1800
"""For one model."""


def take_the_whole_way(name: str) -> dict[str, Any]:
    """Return the table's row of one model. Runs in a process of its own, whose peak memory it tells."""
    import torch

    from export import export_artifact
    from probe import build_probe, load_model
    from runtime import open_artifact, verify

    torch.manual_seed(0)
    row: dict[str, Any] = {"model": name}
    started = time.perf_counter()
    loaded = load_model(name)
    row["parameters"] = sum(parameter.numel() for parameter in loaded.module.parameters())
    row["load_s"], started = time.perf_counter() - started, time.perf_counter()
    probe = build_probe(loaded.module, *loaded.example, kwargs=loaded.kwargs)
    row["probe_s"], started = time.perf_counter() - started, time.perf_counter()
    row |= {
        "input": " x ".join(map(str, probe.inputs[0].shape)),
        "capture": probe.capture,
        "outputs": len(probe.outputs),
        "skipped": len(probe.skipped),
        "aliases": sum(output.alias_of is not None for output in probe.outputs),
        "unknown_layouts": sum("?" in output.layout for output in probe.outputs),
    }
    with tempfile.TemporaryDirectory(prefix="layerprobe-zoo-") as folder:
        export_artifact(probe, Path(folder) / "artifact", name=name)
        row["export_s"], started = time.perf_counter() - started, time.perf_counter()
        del probe, loaded
        report = verify(open_artifact(Path(folder) / "artifact"))
        row["verify_s"] = time.perf_counter() - started
    for runner in report.runners:
        drifts = {output.name: output.drift or 0.0 for output in runner.outputs}
        worst = max(drifts, key=lambda output: drifts[output])
        row[runner.name] = {
            "verdict": runner.verdict,
            "first": runner.first_drifting,
            "drift": drifts[worst],
            "worst": worst,
        }
    row["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


def run_apart(name: str) -> dict[str, Any]:
    """Take one model the whole way in a fresh process; what goes wrong becomes the row."""
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--one", name],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"model": name, "error": f"not done after {LIMIT_S} s"}
    if done.returncode == 0:
        row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return row
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line.partition(":")[0]] or lines or [f"exit {done.returncode}"]
    return {"model": name, "error": errors[-1][:300]}


def passed(row: dict[str, Any]) -> bool:
    """Tell whether a model went the whole way without drift, on both runners."""
    return all(row.get(runner, {}).get("verdict") == "pass" for runner in ("onnx-cpu", "torchscript"))


def as_table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown page."""
    good = sum(map(passed, rows))
    lines = [
        "# The zoo",
        "",
        "Fresh weights of seed 0, random input, one image; `make zoo`. Each model in a process of its own: probe, "
        "export to ONNX and TorchScript, float64 reference, verification on ONNX Runtime (CPU) and TorchScript.",
        "",
        f"**{good} of {len(rows)} models pass on both runners.** The drift is the largest of all outputs, in "
        "multiples of eager float32's own error; up to 16 passes.",
        "",
        f"{platform.machine()}, 2 cores, Python {platform.python_version()}, torch {version('torch')}, torchvision "
        f"{version('torchvision')}, timm {version('timm')}, onnxruntime-gpu {version('onnxruntime-gpu')}, "
        f"{time.strftime('%Y-%m-%d')}. Seconds are of a busy machine, and tell an order of magnitude.",
        "",
        "| model | input | M weights | captured by | outputs | skipped | aliases | layout unknown | probe s | "
        "export s | verify s | peak MB | drift ONNX | drift TorchScript | verdict |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['model']} |" + " |" * 13 + f" {row['error'].replace('|', '/')} |")
            continue
        drifts = [f"{row[runner]['drift']:.2f}" for runner in ("onnx-cpu", "torchscript")]
        failed = [row[runner] for runner in ("onnx-cpu", "torchscript") if row[runner]["verdict"] != "pass"]
        verdict = f"{failed[0]['verdict']} at {failed[0]['first']}" if failed else "pass"
        cells = [row["model"], row["input"], f"{row['parameters'] / 1e6:.1f}", row["capture"], row["outputs"]]
        cells += [row["skipped"], row["aliases"], row["unknown_layouts"]]
        cells += [f"{row[key]:.1f}" for key in ("probe_s", "export_s", "verify_s")]
        cells += [f"{row['peak_mb']:.0f}", *drifts, verdict]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def main(file: Path, patterns: list[str]) -> None:
    names = zoo_models()
    kept = file.with_suffix(".jsonl")
    rows = {}
    if kept.exists():
        rows = {row["model"]: row for row in map(json.loads, kept.read_text().splitlines())}
    wanted = [
        name
        for name in names
        if (any(fnmatchcase(name, pattern) for pattern in patterns) if patterns else name not in rows)
    ]
    for number, name in enumerate(wanted, 1):
        rows[name] = row = run_apart(name)
        told = row.get("error") or f"{'pass' if passed(row) else 'FAIL'}, {row['outputs']} outputs"
        print(f"{number}/{len(wanted)} {name}: {told}", flush=True)
        ordered = [rows[each] for each in names if each in rows]
        kept.write_text("".join(json.dumps(each) + "\n" for each in ordered))
        file.write_text(as_table(ordered))


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(take_the_whole_way(sys.argv[2])))
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
