"""`make bench`: the memory of `layerprobe scan` over 1,000, 10,000 and 100,000 images: it is to stay the same.

    python -m benchmarks.scan_memory artifacts/benchmarks.md
    python -m benchmarks.scan_memory mine.md --images 1000,3000

A ResNet-18 with all its outputs, whose input is small, so that most of the time isn't spent in it: what a scan keeps
of an image, a shard and an output is that of any size. The images are hard links to a few. Each scan is a process of
its own, as the command line is, whose peak of memory the system reports.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.page import describe_machine, write_section
from benchmarks.peers import ENVIRONMENT

MODEL, SIDE = "torchvision:resnet18", 32
PHOTOS, IN_A_FOLDER = 8, 1000
AT_MOST = 1.05
"""Of the smallest scan's peak."""


def write_images(folder: Path, count: int) -> None:
    """Fill a folder with folders of links to a few photos of noise."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    photos = [folder.with_name(f"{folder.name}-{number}.jpg") for number in range(PHOTOS)]
    for photo in photos:
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)).save(photo)
    for number in range(count):
        within = folder / f"{number // IN_A_FOLDER:04}"
        within.mkdir(parents=True, exist_ok=True)
        (within / f"photo_{number:07}.jpg").hardlink_to(photos[number % PHOTOS])


def run(*arguments: object) -> tuple[float, float]:
    """Run `layerprobe`; return its peak in megabytes, and how many seconds it took."""
    started = time.perf_counter()
    command = [sys.executable, "-W", "ignore", "-m", "runtime", *map(str, arguments), "--quiet"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"layerprobe {arguments[0]} failed")
    return used.ru_maxrss / 1000, time.perf_counter() - started


def rows_of(counts: list[int], folder: Path) -> list[str]:
    run("export", MODEL, "--input-size", SIDE, "-o", folder / "artifact")
    rows, least = [], 0.0
    for count in counts:
        write_images(folder / str(count), count)
        peak, seconds = run("scan", folder / "artifact", folder / str(count), "-o", folder / f"of-{count}")
        least = least or peak
        wanted = f"{AT_MOST:g}: {'yes' if peak <= AT_MOST * least else '**no**'}"
        rows.append(f"| {count:,} | {peak:,.0f} | {peak / least:.2f} | {seconds:,.0f} | {wanted} |")
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--images", default="1000,10000,100000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="layerprobe-scan-") as folder:
        rows = rows_of([int(each) for each in options.images.split(",")], Path(folder))
    text = [
        "# Memory of a scan",
        "",
        f"Measured by `make bench` on {time.strftime('%Y-%m-%d')}: {describe_machine()}.",
        f"A ResNet-18 at {SIDE} x {SIDE}, all outputs; links to {PHOTOS} photos. The memory is the peak of the",
        "command's process, with all that it imports. The machine was shared, so seconds are upper bounds.",
        "",
        "| images | peak, MB | of the first | s | wanted, at most |",
        "| ---: | ---: | ---: | ---: | --- |",
        *rows,
    ]
    write_section(options.page, "\n".join(text))


if __name__ == "__main__":
    main()
