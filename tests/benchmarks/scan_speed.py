"""`make bench`: images a second of `layerprobe scan`, against the plain model and against other tools' statistics.

    python -m benchmarks.scan_speed artifacts/benchmarks.md
    python -m benchmarks.scan_speed mine.md --models cnn2 --images 64 --rounds 1

Every way runs in a process of its own, whose peak of memory is taken; a model's ways run in turns, `--rounds` times.
Not a test: nothing here asserts a time.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.page import describe_machine, write_section
from benchmarks.peers import ENVIRONMENT

PLAIN, DECODING = "the plain model, from memory", "the plain model, which also decodes"
MADE, MADE_DECODING = "every output made, nothing measured", "every output made, nothing measured, which also decodes"
SCAN = "layerprobe scan, every output"
BARS = {PLAIN: 0.85, DECODING: 0.9}
BATCH = 4
SLOW = 32
"""Images that the other tools are given: they hold every tensor of every image, or take a second for each."""


def write_photos(folder: Path, count: int) -> None:
    """Write JPEGs of 500 x 375, as in ImageNet: parts of a photo that comes with matplotlib, with noise."""
    import matplotlib as mpl
    import numpy as np
    from PIL import Image

    with Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg") as opened:
        photo = opened.convert("RGB")
    random = np.random.default_rng(0)
    for number in range(count):
        width = int(random.integers(300, 500))
        left, top = int(random.integers(photo.width - width)), int(random.integers(photo.height - width))
        part = photo.crop((left, top, left + width, top + width * 3 // 4)).resize((500, 375))
        noisy = np.asarray(part).astype(np.int16) + random.integers(-6, 7, (375, 500, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04}.jpg", quality=90)


class Bench:
    """A model's artifact and photos, as every way uses them; a way takes photos and returns once they are done."""

    def __init__(self, folder: Path) -> None:
        from runtime import open_artifact

        self.artifact = open_artifact(folder / "artifact")
        self.manifest = self.artifact.manifest
        self.photos = folder / "photos"
        self.name = self.manifest.inputs[0].name

    def read(self, files: Sequence[Path]) -> Any:
        from runtime import preprocess_files

        return preprocess_files(files, self.manifest.image_input()[1])

    def runner(self, outputs: Sequence[str] | None = None, threads: int | None = 1) -> Any:
        from runtime import open_runner
        from runtime.runners.settings import Settings

        return open_runner(self.artifact, "onnx-cpu", Settings(threads=threads, spins=threads is None), outputs)

    def plain_on_all_cores(self, files: Sequence[Path]) -> Callable[[], object]:
        """One session, a batch at a time, each operation on every core."""
        bound = self.runner(self.manifest.result_names, threads=None).bind({self.name: self.read(files[:BATCH])})
        return lambda: [bound.run() for _ in range(len(files) // BATCH)]

    def plain_a_batch_a_core(self, files: Sequence[Path]) -> Callable[[], object]:
        return self._a_batch_a_core(files, self.manifest.result_names)

    def plain_and_decoding(self, files: Sequence[Path]) -> Callable[[], object]:
        return self._a_batch_a_core(files, self.manifest.result_names, decodes=True)

    def outputs_in_place(self, files: Sequence[Path]) -> Callable[[], object]:
        """ONNX Runtime makes every output, in arrays that are written again and again, and nobody looks at them."""
        return self._a_batch_a_core(files, None, self._batch_of_scan)

    def outputs_in_fresh_arrays(self, files: Sequence[Path]) -> Callable[[], object]:
        return self._a_batch_a_core(files, None, self._batch_of_scan, fresh=True)

    def outputs_and_decoding(self, files: Sequence[Path]) -> Callable[[], object]:
        """What the fastest scan could reach that measures nothing."""
        return self._a_batch_a_core(files, None, self._batch_of_scan, decodes=True)

    @property
    def _batch_of_scan(self) -> int:
        from runtime.scan.scanning import default_batch

        return default_batch(self.manifest.outputs)

    def _a_batch_a_core(
        self,
        files: Sequence[Path],
        outputs: Sequence[str] | None,
        batch: int = BATCH,
        *,
        decodes: bool = False,
        fresh: bool = False,
    ) -> Callable[[], object]:
        """A session of one thread, which each core runs with a batch of its own."""
        cores = os.cpu_count() or 1
        runner, places = self.runner(outputs), SimpleQueue[Any]()
        for _ in range(cores):
            given = self.read(files[:batch])
            places.put((given, None if fresh else runner.bind({self.name: given})))

        def one(begin: int) -> None:
            given, bound = places.get()
            if decodes:
                given[...] = self.read(files[begin : begin + batch])
            if bound is None:
                runner.run({self.name: given})
            else:
                bound.run()
            places.put((given, bound))

        def run() -> None:
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(one, range(0, len(files), batch)))

        return run

    def scan(self, files: Sequence[Path], *labels: str) -> Callable[[], object]:
        """`layerprobe scan`, until the last table is written."""
        from runtime.artifact.selection import select_outputs
        from runtime.scan.scanning import Choices, scan

        names = [each.name for each in select_outputs(self.manifest.outputs, (), labels)] if labels else None
        runner = self.runner(names)
        # The compiled loops come from their cache, as in every scan but the first.
        scan(self.artifact, runner, self.photos, self.photos.parent / f"warm-{os.getpid()}", Choices(limit=8))
        target = self.photos.parent / f"scan-{os.getpid()}"
        return lambda: scan(self.artifact, runner, self.photos, target, Choices(limit=len(files)))

    def scan_activations(self, files: Sequence[Path]) -> Callable[[], object]:
        return self.scan(files, "*relu*")

    def calibrator(self, files: Sequence[Path], method: str) -> Callable[[], object]:
        """ONNX Runtime's own statistics before quantization: a range, or a histogram, of each tensor."""
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, create_calibrator

        folder = self.photos.parent
        plain = folder / f"plain-{os.getpid()}.onnx"
        model = onnx.load(self.artifact.path / "model.onnx")
        results = [each for each in model.graph.output if each.name in self.manifest.result_names]
        del model.graph.output[:]
        model.graph.output.extend(results)
        onnx.save(model, plain)
        name, read = self.name, self.read

        class Reader(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self._left: Iterator[Path] = iter(files)

            def get_next(self) -> Mapping[str, Any] | None:
                file = next(self._left, None)
                return {name: read([file])} if file else None

        calibrator = create_calibrator(
            plain,
            augmented_model_path=str(folder / f"augmented-{os.getpid()}.onnx"),
            calibrate_method=getattr(CalibrationMethod, method),
        )

        def run() -> None:
            calibrator.collect_data(Reader())
            calibrator.compute_data()

        return run

    def min_max(self, files: Sequence[Path]) -> Callable[[], object]:
        return self.calibrator(files, "MinMax")

    def entropy(self, files: Sequence[Path]) -> Callable[[], object]:
        return self.calibrator(files, "Entropy")

    def hook_loop(self, files: Sequence[Path]) -> Callable[[], object]:
        """What one writes by hand: a forward hook on every layer, and NumPy in float64."""
        import numpy as np
        import torch

        model, found = self._module(), {}

        def hook(path: str) -> Callable[..., None]:
            def measure(_module: Any, _given: Any, result: Any) -> None:
                values = result.detach().numpy().astype(np.float64)
                axes = tuple(axis for axis in range(values.ndim) if axis != 1)
                facts = [values.sum(axes), np.square(values).sum(axes), values.min(axes), values.max(axes)]
                found[path] = [*facts, (values == 0).sum(axes), np.isnan(values).sum(axes)]

            return measure

        for path, module in model.named_modules():
            if not list(module.children()):
                module.register_forward_hook(hook(path))

        def run() -> None:
            with torch.no_grad():
                for begin in range(0, len(files), BATCH):
                    model(torch.from_numpy(self.read(files[begin : begin + BATCH])))

        return run

    def torchlens(self, files: Sequence[Path]) -> Callable[[], object]:
        """torchlens's extraction from a data set: every tensor, and no statistics yet."""
        import torch
        import torchlens as lens

        torch.set_grad_enabled(False)
        model = self._module()
        images = torch.from_numpy(self.read(files))
        layers = [each for each in lens.trace(model, images[:1]).layer_labels if not each.startswith("buffer")]
        return lambda: lens.extract_dataset(model, images, layers, batch_size=BATCH, progress=False)

    def _module(self) -> Any:
        from benchmarks.models import load_by_name

        return load_by_name(self.manifest.model.removeprefix("torchvision:")).module.eval()


WAYS: dict[str, tuple[Callable[[Bench, Sequence[Path]], Callable[[], object]], bool]] = {
    f"{PLAIN}: an operation on all cores": (Bench.plain_on_all_cores, True),
    f"{PLAIN}: a batch a core": (Bench.plain_a_batch_a_core, True),
    DECODING: (Bench.plain_and_decoding, True),
    f"{MADE}: in place": (Bench.outputs_in_place, True),
    f"{MADE}: in fresh arrays": (Bench.outputs_in_fresh_arrays, True),
    MADE_DECODING: (Bench.outputs_and_decoding, True),
    SCAN: (Bench.scan, True),
    "layerprobe scan, --op '*relu*'": (Bench.scan_activations, True),
    "forward hooks and NumPy in float64": (Bench.hook_loop, False),
    "ONNX Runtime's MinMax calibrator": (Bench.min_max, False),
    "ONNX Runtime's Entropy calibrator": (Bench.entropy, False),
    "torchlens, extract_dataset": (Bench.torchlens, False),
}
"""By what the page calls it: the way, and whether it takes all images."""


def measure(folder: Path, label: str, images: int) -> dict[str, float]:
    """Return a way's images a second, the milliseconds of all cores for one, and this process's peak in megabytes."""
    bench, (way, whole) = Bench(folder), WAYS[label]
    files = sorted(bench.photos.iterdir())[: images if whole else min(images, SLOW)]
    run = way(bench, files)
    if whole and "scan" not in label:
        run()
    started, used = time.perf_counter(), time.process_time()
    run()
    rate = len(files) / (time.perf_counter() - started)
    milliseconds = 1000 * (time.process_time() - used) / len(files)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"rate": rate, "milliseconds": milliseconds, "megabytes": peak}


def _apart(*arguments: object) -> Any:
    command = [sys.executable, "-W", "ignore", __file__, *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1][:300])
    return json.loads(done.stdout.splitlines()[-1])


def prepare(name: str, folder: Path, images: int) -> None:
    from benchmarks.models import load_by_name
    from export import export_artifact
    from probe import build_probe
    from runtime import Preprocessing

    loaded = load_by_name(name)
    side = loaded.example[0].shape[-1]
    steps = Preprocessing(
        resize=side * 8 // 7, crop=(side, side), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]
    )
    probe = build_probe(loaded.module.eval(), *loaded.example)
    export_artifact(probe, folder / "artifact", name=name, preprocessing=steps)
    (folder / "photos").mkdir()
    write_photos(folder / "photos", images)


def shares_of(name: str, cores: Mapping[str, float]) -> str:
    """Return in words where the scan's time goes, by the milliseconds of all cores for an image."""
    plain, decoding, made, scanned = (
        cores[label] for label in (f"{PLAIN}: a batch a core", DECODING, MADE_DECODING, SCAN)
    )
    return (
        f"{name}, milliseconds of all cores for an image: {plain:.1f} the plain model, {decoding - plain:.1f} decoding,"
        f" {made - decoding:.1f} ONNX Runtime making every output, {scanned - made:.1f} measuring them and writing the "
        f"tables. A scan that measured nothing would reach {decoding / made:.2f} of inference that also decodes."
    )


def rows_of(name: str, folder: Path, images: int, rounds: int) -> tuple[list[str], str]:
    """Return a model's rows, and in words where the scan's time goes."""
    _apart("--prepare", name, folder, images)
    found: dict[str, list[dict[str, float]]] = {}
    missing: dict[str, str] = {}
    for _ in range(rounds):
        for label in WAYS:
            if label not in missing:
                try:
                    found.setdefault(label, []).append(_apart("--way", label, folder, images))
                except RuntimeError as error:
                    absent = re.fullmatch(r"ModuleNotFoundError: No module named '(\w+)'", str(error))
                    reason = f"not measured: {absent[1]} isn't installed" if absent else str(error)
                    missing[label] = reason.replace(str(folder), "")
    rates = {label: statistics.median(each["rate"] for each in results) for label, results in found.items() if results}
    plain = {bar: max(rate for label, rate in rates.items() if label.startswith(bar)) for bar in BARS}
    rows = []
    for label, rate in rates.items():
        ratios = [rate / plain[bar] for bar in BARS]
        ours = label.startswith("layerprobe")
        wanted = [
            f"{bar}: {'yes' if ratio >= bar else '**no**'}" for ratio, bar in zip(ratios, BARS.values(), strict=True)
        ]
        spread = [each["rate"] for each in found[label]]
        memory, used = (statistics.median(each[key] for each in found[label]) for key in ("megabytes", "milliseconds"))
        cells = [
            *(name, label, f"{rate:.1f}", f"{min(spread):.1f} to {max(spread):.1f}"),
            f"{used:.1f}",
            *(f"{ratio:.2f}" for ratio in ratios),
            *(f"{memory:,.0f}", ", ".join(wanted) if ours else ""),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    rows += [f"| {name} | {label} | {reason.replace('|', ' ')} | | | | | | |" for label, reason in missing.items()]
    print("\n".join(rows), flush=True)
    cores = {label: statistics.median(each["milliseconds"] for each in found[label]) for label in rates}
    return rows, shares_of(name, cores)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--models", default="resnet18,mobilenet_v2")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows, shares = [], []
    for name in options.models.split(","):
        with tempfile.TemporaryDirectory(prefix="layerprobe-scan-") as folder:
            own, share = rows_of(name, Path(folder), options.images, options.rounds)
            rows, shares = [*rows, *own], [*shares, share]
    text = [
        "# Scanning a folder",
        "",
        f"Measured by `make bench` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
        f"{options.images} JPEGs of 500 x 375; the last four ways got {SLOW} of them. Each way ran in a process of its",
        f"own, in turns, {options.rounds} times; medians. The scan's time ends with its last table. `from memory` and",
        "`decodes` are shares of the images a second of the plain model, in the better of its two arrangements. The",
        "memory is the peak of the whole process. Hooks and calibrators see fewer tensors than the scan, and measure",
        "less of each; torchlens extracts the tensors, without statistics.",
        "",
        *(line for share in shares for line in (*textwrap.wrap(share, 118), "")),
        "| model | way | images a second | spread | CPU, ms an image | from memory | decodes | peak, MB | wanted |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *rows,
    ]
    write_section(options.page, "\n".join(text))


if __name__ == "__main__":
    if sys.argv[1] == "--prepare":
        prepare(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        print("null")
    elif sys.argv[1] == "--way":
        print(json.dumps(measure(Path(sys.argv[3]), sys.argv[2], int(sys.argv[4]))))
    else:
        main()
