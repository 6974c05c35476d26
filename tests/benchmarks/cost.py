"""`make bench-cost`: where a probe's time goes, node by node, and how it grows with the batch and with the outputs.

    python -m benchmarks.cost artifacts/benchmarks.md artifacts/gallery/cost.png
    python -m benchmarks.cost mine.md mine.png --models cnn2 --growth-of cnn2

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

from benchmarks.models import MODELS, load_by_name
from benchmarks.page import describe_machine, write_section

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
VARIANTS = ("plain", "averaged", "full")


def export(name: str, folder: Path) -> Path:
    from export import export_artifact
    from probe import build_probe

    loaded = load_by_name(name)
    return export_artifact(build_probe(loaded.module.eval(), *loaded.example), folder / name, name=name, averaged=True)


def open_variant(artifact: Any, variant: str, batch: int, outputs: Sequence[str] | None = None) -> Any:
    """Return a runner of the variant with its inputs and outputs bound."""
    import numpy as np

    from runtime import open_runner

    opened = artifact.averaged() if variant == "averaged" else artifact
    names = artifact.manifest.result_names if variant == "plain" else outputs
    entry = artifact.manifest.inputs[0]
    x = np.random.default_rng(0).standard_normal((batch, *entry.shape[1:])).astype(np.float32)
    return open_runner(opened, "onnx-cpu", outputs=names).bind({entry.name: x})


def node_times(artifact: Any, variant: str) -> list[tuple[str, float]]:
    """Return operation and median microseconds of each node that ONNX Runtime executed, by its own profile."""
    from runtime.runners import onnx_session

    options_of = onnx_session.session_options
    with tempfile.TemporaryDirectory(prefix="layerprobe-cost-") as folder:

        def profiling(level: Any) -> Any:
            options = options_of(level)
            options.enable_profiling = True
            options.profile_file_prefix = f"{folder}/profile"
            return options

        onnx_session.session_options = profiling
        try:
            bound = open_variant(artifact, variant, 1)
        finally:
            onnx_session.session_options = options_of
        for _ in range(ROUNDS):
            bound.run()
        del bound  # the session writes its profile when it is deleted
        (file,) = Path(folder).iterdir()
        events = json.loads(file.read_text())
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            taken[event["args"]["op_name"], event["name"]].append(event["dur"])
    return [(operation, statistics.median(durations)) for (operation, _), durations in taken.items()]


def rows_of(name: str, artifact: Any) -> list[str]:
    """Return the rows that show where the time of each variant goes."""
    rows = []
    for variant in VARIANTS:
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


def filler(arrays: Sequence[Any], pool: ThreadPoolExecutor) -> Callable[[], None]:
    """Return a function that writes as many bytes as these arrays have, in one thread per core."""
    import numpy as np

    shares: list[list[Any]] = [[] for _ in range(os.cpu_count() or 1)]
    for array in sorted(arrays, key=lambda each: -each.nbytes):
        min(shares, key=lambda share: sum(each.nbytes for each in share)).append(np.empty_like(array))

    def fill(share: list[Any]) -> None:
        for array in share:
            array.fill(1)

    def run() -> None:
        list(pool.map(fill, shares))

    return run


def floor_row(name: str, artifact: Any, batch: int) -> str:
    """Return the row that shows what every tensor costs, beside the cost of writing its bytes; empty if caches may hold
    them.
    """
    plain_model, full = (open_variant(artifact, variant, batch) for variant in ("plain", "full"))
    arrays = list(full.arrays().values())
    megabytes = sum(array.nbytes for array in arrays) / 1e6
    if megabytes < CACHES_MB:
        return ""
    with ThreadPoolExecutor() as pool:
        taken = time_in_turns({"plain": plain_model.run, "full": full.run, "fill": filler(arrays, pool)})
    plain = taken["plain"]
    row = (
        f"| {name} | {batch} | {megabytes:.1f} | {plain:.2f} | {taken['fill']:.2f} | "
        f"{1 + taken['fill'] / plain:.2f} | {taken['full'] / plain:.2f} |"
    )
    print(row, flush=True)
    return row


def draw_growth(artifact: Any, file: Path) -> None:
    """Draw the time over the batch, and over the number of requested outputs."""
    from matplotlib.figure import Figure

    from runtime.bench.picture import VARIANT_COLOURS

    by_batch: dict[tuple[str, int], float] = {}
    for batch in BATCHES:
        by_batch |= time_in_turns(
            {(variant, batch): open_variant(artifact, variant, batch).run for variant in VARIANTS}
        )
    listed = {
        "averaged": artifact.averaged().manifest.output_names,
        "full": artifact.manifest.output_names,
    }
    # From the front, plus the last output: so the whole model is computed whatever their number.
    counts = {variant: [1 + round(share * (len(listed[variant]) - 1)) for share in SHARES] for variant in listed}
    by_count = time_in_turns(
        {
            ("plain", 0): open_variant(artifact, "plain", 1).run,
            **{
                (variant, count): open_variant(artifact, variant, 1, [*names[: count - 1], names[-1]]).run
                for variant, names in listed.items()
                for count in counts[variant]
            },
        }
    )

    figure = Figure(figsize=(9, 4), layout="constrained")
    over_batch, over_outputs = figure.subplots(1, 2)
    for variant in VARIANTS:
        line = {"color": VARIANT_COLOURS[variant], "label": variant}
        over_batch.plot(BATCHES, [by_batch[variant, batch] for batch in BATCHES], "o-", **line)
    for variant, each in counts.items():
        over_outputs.plot(each, [by_count[variant, count] for count in each], "o-", color=VARIANT_COLOURS[variant])
    over_outputs.axhline(by_count["plain", 0], color=VARIANT_COLOURS["plain"])
    for axes, title, unit in (
        (over_batch, "over the batch", "images at once"),
        (over_outputs, "over the outputs asked for, batch 1", "outputs"),
    ):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(unit)
        axes.set_ylabel("ms")
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
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
