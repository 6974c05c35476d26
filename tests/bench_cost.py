"""`make bench-cost`: where a probe's time goes, node by node, and how it grows with the batch and with the outputs.

    python tests/bench_cost.py artifacts/benchmarks.md artifacts/gallery/cost.png
    python tests/bench_cost.py mine.md mine.png --models cnn2 --growth-of cnn2

On ONNX Runtime's CPU provider. Not a test: nothing here asserts a time.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench_page import describe_machine, write_section

MODELS = ("cnn11", "cnn2", "cnn3", "resnet18", "resnet50", "mobilenet_v2", "vgg16")
BATCHES = (1, 2, 4, 8, 16)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
ROUNDS = 25
KINDS = {
    "convolutions": ("Conv", "FusedConv"),
    "out of and into blocks": ("ReorderOutput", "ReorderInput"),
    "activations, batch norms": ("Relu", "Clip", "LeakyRelu", "Sigmoid", "BatchNormalization", "Mul"),
    "additions": ("Add", "Sum"),
    "means": ("ReduceMean", "ReduceSum"),
    "pooling": ("MaxPool", "AveragePool", "GlobalAveragePool"),
}
CACHES_MB = 64
COLOURS = {"plain": "#8a8a8a", "averaged": "#1b7f79", "full": "#c4572e"}


def export(name: str, folder: Path) -> Path:
    from export import export_artifact
    from probe import build_probe, load_model

    loaded = load_model(name if name.startswith("cnn") else f"torchvision:{name}")
    return export_artifact(build_probe(loaded.module.eval(), *loaded.example), folder / name, name=name, averaged=True)


def open_variant(artifact: Any, variant: str, batch: int, outputs: Sequence[str] | None = None) -> Callable[[], None]:
    """Return what runs it, bound to its input."""
    import numpy as np

    from runtime.onnx_runner import OnnxRunner

    opened = artifact.averaged() if variant == "averaged" else artifact
    names = artifact.manifest.result_names if variant == "plain" else outputs
    entry = artifact.manifest.inputs[0]
    x = np.random.default_rng(0).standard_normal((batch, *entry.shape[1:])).astype(np.float32)
    run: Callable[[], None] = OnnxRunner(opened, outputs=names).bind({entry.name: x}).run
    return run


def node_times(artifact: Any, variant: str) -> list[tuple[str, float]]:
    """Return operation and median microseconds of each node that ONNX Runtime executed, by its own profile."""
    from runtime import onnx_session

    options_of = onnx_session.session_options
    with tempfile.TemporaryDirectory(prefix="layerprobe-cost-") as folder:

        def profiling(level: Any) -> Any:
            options = options_of(level)
            options.enable_profiling = True
            options.profile_file_prefix = f"{folder}/profile"
            return options

        onnx_session.session_options = profiling
        try:
            run = open_variant(artifact, variant, 1)
        finally:
            onnx_session.session_options = options_of
        for _ in range(ROUNDS):
            run()
        del run  # the session writes its profile as it goes
        (file,) = Path(folder).iterdir()
        events = json.loads(file.read_text())
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            taken[event["args"]["op_name"], event["name"]].append(event["dur"])
    return [(operation, statistics.median(durations)) for (operation, _), durations in taken.items()]


def rows_of(name: str, artifact: Any) -> list[str]:
    """Return the rows that tell where the time of each variant goes."""
    rows = []
    for variant in COLOURS:
        nodes = node_times(artifact, variant)
        spent: Counter[str] = Counter()
        for operation, microseconds in nodes:
            spent[next((kind for kind, its in KINDS.items() if operation in its), "others")] += microseconds / 1000
        cells = " | ".join(f"{spent[kind]:.2f}" if spent[kind] else "" for kind in (*KINDS, "others"))
        rows.append(f"| {name} | {variant} | {len(nodes)} | {cells} | {spent.total():.2f} |")
        print(rows[-1], flush=True)
    return rows


def time_in_turns(ways: dict[Any, Callable[[], None]]) -> dict[Any, float]:
    """Return the median milliseconds of each."""
    seconds: dict[Any, list[float]] = {key: [] for key in ways}
    for number in range(ROUNDS + 3):
        for key, run in ways.items():
            started = time.perf_counter()
            run()
            if number >= 3:
                seconds[key].append(time.perf_counter() - started)
    return {key: statistics.median(times) * 1000 for key, times in seconds.items()}


def filler(artifact: Any, batch: int) -> tuple[float, Callable[[], None]]:
    """Return the megabytes of all outputs, and what writes as many bytes, in as many threads as there are cores."""
    import numpy as np

    sizes = artifact.manifest.sizes(batch)
    arrays = [
        np.empty([sizes.get(size, 1) if isinstance(size, str) else size for size in output.shape], output.dtype)
        for output in artifact.manifest.outputs
    ]
    total = sum(array.nbytes for array in arrays)
    cores = os.cpu_count() or 1
    shares: list[list[Any]] = [[] for _ in range(cores)]
    for array in sorted(arrays, key=lambda each: -each.nbytes):
        min(shares, key=lambda share: sum(each.nbytes for each in share)).append(array)
    pool = ThreadPoolExecutor(cores)

    def fill(share: list[Any]) -> None:
        for array in share:
            array.fill(1)

    def run() -> None:
        list(pool.map(fill, shares))

    return total / 1e6, run


def floor_row(name: str, artifact: Any, batch: int) -> str:
    """Return the row that tells what every tensor costs, beside what writing its bytes costs; none if caches may hold
    them.
    """
    megabytes, fill = filler(artifact, batch)
    if megabytes < CACHES_MB:
        return ""
    ways = {variant: open_variant(artifact, variant, batch) for variant in ("plain", "full")} | {"fill": fill}
    taken = time_in_turns(ways)
    plain = taken["plain"]
    row = (
        f"| {name} | {batch} | {megabytes:.1f} | {plain:.2f} | {taken['fill']:.2f} | "
        f"{1 + taken['fill'] / plain:.2f} | {taken['full'] / plain:.2f} |"
    )
    print(row, flush=True)
    return row


def draw_growth(artifact: Any, file: Path) -> None:
    """Draw the time over the batch, and over how many of the outputs are asked for."""
    from matplotlib.figure import Figure

    by_batch: dict[tuple[str, int], float] = {}
    for batch in BATCHES:
        taken = time_in_turns({(variant, batch): open_variant(artifact, variant, batch) for variant in COLOURS})
        by_batch |= taken
    names = artifact.manifest.output_names
    spatial = artifact.averaged().manifest.output_names

    def cut(variant: str, count: int) -> Callable[[], None]:
        # From the front, with the result: what all of them need is computed whatever their number.
        chosen = names[:count] if variant == "full" else spatial[:count]
        keep = set(chosen) | set(artifact.manifest.result_names if variant == "full" else spatial[-1:])
        listed = names if variant == "full" else spatial
        return open_variant(artifact, variant, 1, [name for name in listed if name in keep])

    counts = {
        variant: [round(share * len(names if variant == "full" else spatial)) for share in SHARES]
        for variant in ("averaged", "full")
    }
    by_count = time_in_turns(
        {
            ("plain", 0): open_variant(artifact, "plain", 1),
            **{(variant, count): cut(variant, count) for variant, each in counts.items() for count in each},
        }
    )

    figure = Figure(figsize=(9, 4), layout="constrained")
    over_batch, over_outputs = figure.subplots(1, 2)
    for variant, colour in COLOURS.items():
        over_batch.plot(BATCHES, [by_batch[variant, batch] for batch in BATCHES], "o-", color=colour, label=variant)
    for variant, each in counts.items():
        over_outputs.plot(each, [by_count[variant, count] for count in each], "o-", color=COLOURS[variant])
    over_outputs.axhline(by_count["plain", 0], color=COLOURS["plain"])
    for axes, title, unit in (
        (over_batch, "over the batch", "images at once"),
        (over_outputs, "over the outputs asked for, batch 1", "outputs"),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(unit)
        axes.set_ylabel("ms")
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*over_batch.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(f"{artifact.manifest.model} on ONNX Runtime, CPU: medians of {ROUNDS} runs in turns", fontsize=11)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--growth-of", default="resnet18")
    options = parser.parse_args()
    from runtime import open_artifact

    rows, floors = [], []
    with tempfile.TemporaryDirectory(prefix="layerprobe-cost-") as temporary:
        folder = Path(temporary)
        for name in options.models.split(","):
            artifact = open_artifact(export(name, folder))
            rows += rows_of(name, artifact)
            floors += [row for batch in (1, 16) if (row := floor_row(name, artifact, batch))]
        grown = folder / options.growth_of
        draw_growth(open_artifact(grown if grown.exists() else export(options.growth_of, folder)), options.picture)
    kinds = (*KINDS, "others")
    section = "\n".join(
        [
            "# Where the time goes",
            "",
            f"Measured by `make bench-cost` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
            "The milliseconds of each kind of node by ONNX Runtime's own profile, batch 1, medians of",
            f"{ROUNDS} runs; the profile itself costs some microseconds a node. Convolutions are computed on blocks of",
            "channels, with what is fused into them; a map is one of one filter, brought out of the blocks.",
            "",
            f"| model | variant | nodes | {' | '.join(kinds)} | sum, ms |",
            f"| --- | --- | ---: |{' ---: |' * (len(kinds) + 1)}",
            *rows,
            "",
            "What every tensor must cost at least is the writing of its bytes, told where they are more than caches",
            f"hold. `fill` sets as many bytes of arrays that are there to one value, in {os.cpu_count()} threads; a",
            "runtime has to read and to rearrange them as well. Medians of runs in turns.",
            "",
            "| model | batch | outputs, MB | plain, ms | fill, ms | (plain + fill) / plain | full / plain |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *floors,
            "",
            f"![Time over the batch and over the outputs]({Path(*options.picture.parts[-2:])})",
        ]
    )
    write_section(options.page, section)


if __name__ == "__main__":
    main()
