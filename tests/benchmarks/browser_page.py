"""`make bench-page`: how large a page of `layerprobe page` is, and how soon a photo's maps are there, beside `grid`.

Not a test: nothing here asserts a time. A browser computes in processes of its own, so times are of the wall clock, and
the machine must be quiet.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib
import torch
import torchvision

from benchmarks.page import describe_machine, write_section
from export import export_artifact
from probe import build_probe
from runtime import Preprocessing, open_artifact
from runtime.page.site_writing import write_page
from runtime.page.web_runtime import PACKAGE, VERSION
from runtime.runners.node_support import find_chromium, node_modules, why_no_browser

PHOTO = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
STEPS = Preprocessing(resize=256, crop=(224, 224), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
ROUNDS = 5
PARTS = {
    "artifact": "the model, its averaged probe and the truths",
    "runtime": "ONNX Runtime Web",
    "src": "the JavaScript package",
    "page": "the page itself",
}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def visited(site: Path) -> dict[str, list[float]]:
    """Return the seconds of several visits: until the page is ready, and until the maps of a first and a next photo."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    given = {
        "modules": str(node_modules()),
        "chromium": str(find_chromium()),
        "url": f"http://127.0.0.1:{server.server_port}/",
        "photo": str(PHOTO),
        "rounds": ROUNDS,
    }
    script = Path(__file__).with_name("browser_page.mjs")
    try:
        ran = subprocess.run(["node", script, json.dumps(given)], capture_output=True, text=True, check=True)
    finally:
        server.shutdown()
    return dict(json.loads(ran.stdout))


def drawn(artifact: Path, folder: Path) -> list[float]:
    """Return the seconds of `layerprobe grid`, the whole command."""
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        arguments = [artifact, PHOTO, "-o", folder / "grid.png", "--quiet"]
        subprocess.run([sys.executable, "-m", "runtime", "grid", *arguments], check=True, capture_output=True)
        found.append(time.perf_counter() - started)
    return found


def measure(folder: Path) -> str:
    torch.manual_seed(0)
    probe = build_probe(torchvision.models.resnet18().eval(), torch.zeros(1, 3, 224, 224))
    artifact = open_artifact(export_artifact(probe, folder / "resnet18", averaged=True, preprocessing=STEPS))
    site = folder / "site"
    total = write_page(artifact, site, "resnet18")
    sizes = {part: sum(file.stat().st_size for file in (site / part).rglob("*") if file.is_file()) for part in PARTS}
    loaded = sum((site / name).stat().st_size for name in _LOADED)
    return report(total, sizes, loaded, visited(site), drawn(artifact.path, folder))


_LOADED = (
    "artifact/averaged.onnx",
    "runtime/ort.wasm.min.mjs",
    "runtime/ort-wasm-simd-threaded.mjs",
    "runtime/ort-wasm-simd-threaded.wasm",
)
"""What a visitor loads before the first map, beside our modules."""


def report(total: int, sizes: dict[str, int], loaded: int, seconds: dict[str, list[float]], grid: list[float]) -> str:
    lines = [
        "# A page in the browser",
        "",
        f"Measured by `make bench-page` on {time.strftime('%Y-%m-%d')}: {describe_machine()};",
        f"{PACKAGE} {VERSION} in one thread of WebAssembly, headless Chromium. A ResNet-18 with its",
        f"averaged probe, of a photo at 224 x 224; wall clock, medians of {ROUNDS} visits (least–most).",
        "",
        "| of the page | MB |",
        "| --- | ---: |",
        *(f"| `{part}/`, {PARTS[part]} | {size / 1e6:.1f} |" for part, size in sizes.items()),
        f"| together | {total / 1e6:.1f} |",
        f"| loaded before the first map | {(loaded + sizes['src'] + sizes['page']) / 1e6:.1f} |",
        "",
        "| from | to | seconds |",
        "| --- | --- | ---: |",
        f"| the page's address | a page that takes a photo | {_seconds(seconds['ready'])} |",
        f"| the first photo | its overview, by the means of all outputs | {_seconds(seconds['first'])} |",
        f"| another photo | its overview, by the means of all outputs | {_seconds(seconds['next'])} |",
        f"| `layerprobe grid ARTIFACT PHOTO` | the picture, Python's start with it | {_seconds(grid)} |",
    ]
    return "\n".join(lines) + "\n"


def _seconds(found: list[float]) -> str:
    return f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f})"


if __name__ == "__main__":
    missing = why_no_browser()
    if missing:
        sys.exit(f"It can't be measured here: {missing}.")
    with tempfile.TemporaryDirectory() as temporary:
        text = measure(Path(temporary))
    print(text)
    if len(sys.argv) > 1:
        write_section(Path(sys.argv[1]), text)
