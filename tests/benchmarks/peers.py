"""`make bench-peers`: what it costs to see every tensor, or its map, here and in other tools.

    python -m benchmarks.peers artifacts/benchmarks.md  # all models, batches 1 and 16
    python -m benchmarks.peers mine.md --models cnn2,resnet18 --batches 1

For each model and batch, all ways of one runtime run in turns in one process (PyTorch's threads keep spinning for a
while, which would slow ONNX Runtime down), and each once more in a process of its own, for its memory. Not a test:
nothing here asserts a time.
"""

import argparse
import contextlib
import gc
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.models import MODELS, load_by_name
from benchmarks.page import describe_machine, write_section

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
"""In which a process of its own finds `benchmarks` and `proofs`, as this one does."""
BATCHES = (1, 16)
BARS = {
    ("averaged", 1): dict.fromkeys(("resnet18", "resnet50", "vgg16"), 1.15),
    ("averaged", 16): dict.fromkeys(("resnet18", "resnet50", "vgg16"), 1.15),
    ("full", 1): dict.fromkeys(MODELS, 1.5),
    ("full", 16): dict.fromkeys(MODELS, 1.6),
}
for _batch in BATCHES:
    BARS["averaged", _batch] |= dict.fromkeys(("mobilenet_v2", "cnn11", "cnn2"), 1.25)

PLAIN = {"torch": "PyTorch, the plain model", "onnx": "ONNX Runtime, the plain model"}
LAYERPROBE = {"averaged": "layerprobe, averaged (ONNX Runtime)", "full": "layerprobe, every tensor (ONNX Runtime)"}
TORCHLENS = "torchlens, trace"
"""Timed in a process of its own: once called, it leaves PyTorch's functions wrapped, which slows all others down."""
SECONDS_PER_WAY = 3.0
"""About how long each way is timed."""

Way = Callable[[], object]


def makers_of(name: str, batch: int, folder: Path) -> dict[str, Callable[[], Way]]:
    """Return, for each way, the function that opens it for timing."""
    return {**_torch_ways(name, batch), **_onnx_ways(name, batch, folder)}


def _torch_ways(name: str, batch: int) -> dict[str, Callable[[], Way]]:
    import torch

    torch.set_grad_enabled(False)
    loaded = load_by_name(name)
    model = loaded.module.eval()
    x = torch.randn(batch, *loaded.example[0].shape[1:], generator=torch.Generator().manual_seed(0))

    def hooks() -> Way:
        def run() -> dict[str, torch.Tensor]:
            kept: dict[str, torch.Tensor] = {}
            handles = [
                module.register_forward_hook(
                    lambda module, given, result, path=path: kept.__setitem__(path, result.clone())
                )
                for path, module in model.named_modules()
                if not list(module.children())
            ]
            model(x)
            for handle in handles:
                handle.remove()
            return kept

        return run

    def extractor() -> Way:
        from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

        names = get_graph_node_names(model)[1][1:]
        extracting = create_feature_extractor(model, names)
        return lambda: extracting(x)

    def torchlens() -> Way:
        import torchlens as lens

        return lambda: lens.trace(model, x)

    def eager_probe() -> Way:
        from probe import build_probe

        probe = build_probe(model, *loaded.example)
        return lambda: probe(x)

    def eager_maps() -> Way:
        from probe import average_probe, build_probe

        probe = average_probe(build_probe(model, *loaded.example))
        return lambda: probe(x)

    return {
        PLAIN["torch"]: lambda: lambda: model(x),
        "forward hooks that clone": hooks,
        "torchvision, create_feature_extractor of every node": extractor,
        TORCHLENS: torchlens,
        "layerprobe, every tensor (eager)": eager_probe,
        "layerprobe, averaged (eager)": eager_maps,
    }


def _onnx_ways(name: str, batch: int, folder: Path) -> dict[str, Callable[[], Way]]:
    import numpy as np

    from runtime import Artifact, open_artifact, open_runner

    artifact = open_artifact(folder / "artifact")
    entry = artifact.manifest.inputs[0]
    x = np.random.default_rng(0).standard_normal((batch, *entry.shape[1:])).astype(np.float32)

    def bound(opened: Artifact | None, outputs: list[str] | None = None) -> Callable[[], Way]:
        def make() -> Way:
            assert opened is not None
            runner: Any = open_runner(opened, "onnx-cpu", outputs=outputs)
            return runner.bind({entry.name: x}).run

        return make

    def marked() -> Way:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = onnxruntime.InferenceSession(folder / "marked.onnx", options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {entry.name: x})

    return {
        PLAIN["onnx"]: bound(artifact, artifact.manifest.result_names),
        LAYERPROBE["averaged"]: bound(artifact.averaged()),
        LAYERPROBE["full"]: bound(artifact),
        "torch.onnx.export, every tensor marked (as Polygraphy's mark all)": marked,
    }


def prepare(name: str, folder: Path) -> None:
    """Write the artifact, and PyTorch's own ONNX file with every tensor as an output."""
    import onnx
    import torch

    from export import export_artifact
    from probe import build_probe

    loaded = load_by_name(name)
    model = loaded.module.eval()
    export_artifact(build_probe(model, *loaded.example), folder / "artifact", averaged=True)
    shapes = ({0: torch.export.Dim("N")},)
    example = torch.cat([loaded.example[0]] * 2)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, (example,), input_names=["x"], dynamo=True, dynamic_shapes=shapes)
        assert program is not None
        program.save(folder / "plain.onnx")
    graph = (marked := onnx.load(folder / "plain.onnx")).graph
    own = {output.name for output in graph.output}
    for node in graph.node:
        for value in node.output:
            if value and value not in own:
                graph.output.append(onnx.ValueInfoProto(name=value))
    onnx.save(marked, folder / "marked.onnx")


def time_ways(name: str, batch: int, folder: Path, *labels: str) -> dict[str, list[float]]:
    """Return the seconds of the ways of these labels, in turns; the slow ones take part in fewer rounds."""
    makers = makers_of(name, batch, folder)
    ways = {label: makers[label]() for label in labels}
    seconds: dict[str, list[float]] = {label: [] for label in ways}
    rounds: dict[str, int] = {}
    for label, way in ways.items():
        way()
        started = time.perf_counter()
        way()
        rounds[label] = max(5, min(60, round(SECONDS_PER_WAY / max(time.perf_counter() - started, 1e-4))))
    gc.disable()  # no way pays for another's garbage
    for number in range(max(rounds.values())):
        gc.collect()
        taking_part = [label for label in ways if number < rounds[label]]
        # Each starts a round in turn, after an untimed run: the collection cooled the caches and let threads sleep.
        first = number % len(taking_part)
        ways[taking_part[first]]()
        for label in taking_part[first:] + taking_part[:first]:
            started = time.perf_counter()
            ways[label]()
            seconds[label].append(time.perf_counter() - started)
    return seconds


def peak_of(name: str, batch: int, folder: Path, label: str) -> float:
    """Return how many megabytes a way takes at its peak, beyond those before it was opened; in a process of its own."""
    from runtime.runners.peak_memory import PeakMemory

    makers = makers_of(name, batch, folder)
    peak = PeakMemory()
    way = makers[label]()
    way()
    way()
    return peak.megabytes() or 0.0


def compare_intermediates(name: str) -> float:
    """Return the seconds of PyTorch's own comparison of every tensor, once."""
    import torch
    from torch.onnx.verification import verify_onnx_program

    loaded = load_by_name(name)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(loaded.module.eval(), loaded.example, dynamo=True)
        assert program is not None
        started = time.perf_counter()
        verify_onnx_program(program, compare_intermediates=True)
    return time.perf_counter() - started


def _apart(*arguments: object) -> Any:
    command = [sys.executable, "-W", "ignore", __file__, *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _is_onnx(label: str) -> bool:
    return "onnx" in label.lower()


def rows_of(name: str, batch: int, folder: Path) -> list[str]:
    labels: list[str] = _apart("--labels", name, batch, folder)
    onnx_ways = [label for label in labels if _is_onnx(label)]
    torch_ways = [label for label in labels if label not in (*onnx_ways, TORCHLENS)]
    seconds: dict[str, list[float]] = {}
    for group in (torch_ways, [TORCHLENS], onnx_ways):
        seconds |= _apart("--time", name, batch, folder, *group)
    medians = {label: statistics.median(times) for label, times in seconds.items()}
    ours = {label: variant for variant, label in LAYERPROBE.items()}
    rows = []
    for label, times in seconds.items():
        plain = PLAIN["onnx" if _is_onnx(label) else "torch"]
        ratio = medians[label] / medians[plain]
        bar = BARS.get((ours.get(label, ""), batch), {}).get(name)
        reached = "" if bar is None else f"at most {bar}: {'yes' if ratio <= bar else '**no**'}"
        peak = _apart("--peak", name, batch, folder, label)
        rows.append(
            f"| {name} | {batch} | {label} | {medians[label] * 1000:.2f} | {min(times) * 1000:.2f} | "
            f"{ratio:.2f} | {peak:.0f} | {reached} |"
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
    options = parser.parse_args()
    rows, verifications = [], []
    for name in options.models.split(","):
        with tempfile.TemporaryDirectory(prefix="layerprobe-peers-") as folder:
            _apart("--prepare", name, folder)
            for batch in map(int, options.batches.split(",")):
                rows += rows_of(name, batch, Path(folder))
        if name in ("cnn2", "resnet18"):
            taken = _apart("--compare", name)
            verifications.append(f"`verify_onnx_program(compare_intermediates=True)` of {name} takes {taken:.1f} s.")
    section = "\n".join(
        [
            "# Every tensor, here and elsewhere",
            "",
            f"Measured by `make bench-peers` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
            "All ways of a runtime but torchlens ran in turns in one process, with weights of seed 0; the ratio is to",
            "the plain model in the same runtime, by medians. ONNX Runtime has inputs and outputs bound, but not those",
            "of the marked model, in which PyTorch's exporter has folded the batch norms away: it shows fewer tensors.",
            "torchvision's extractor copies nothing, so where an in-place ReLU follows it gives what that wrote.",
            "The memory is what a process of its own took more at the peak than before, weights included.",
            " ".join(verifications),
            "",
            "| model | batch | way | median, ms | least, ms | times plain | peak, MB | wanted |",
            "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |",
            *rows,
        ]
    )
    write_section(options.page, section)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--prepare", name, folder]:
            prepare(name, Path(folder))
            print("null")
        case ["--labels", name, batch, folder]:
            print(json.dumps(list(makers_of(name, int(batch), Path(folder)))))
        case ["--time", name, batch, folder, *labels]:
            print(json.dumps(time_ways(name, int(batch), Path(folder), *labels)))
        case ["--peak", name, batch, folder, label]:
            print(peak_of(name, int(batch), Path(folder), label))
        case ["--compare", name]:
            print(compare_intermediates(name))
        case _:
            main()
