"""Make the pictures of the gallery: run the commands of gallery.toml, and keep what they draw as small WebP files.

`make gallery ARGS='overlay classes'` makes some again. An HTML page is drawn by Chromium; without it, those stay as they are.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
from PIL import Image

from generated_pages import gallery, gallery_file

DOCS = Path(__file__).parent
LARGEST_WIDTH = 1400
QUALITY = 80
PAGE_WIDTH = 1100


def main(wanted: list[str]) -> None:
    """Make the pictures of these names, or all."""
    content = gallery()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg", folder / "photo.jpg")
        for file in (DOCS / "gallery").glob("*.py"):
            shutil.copy(file, folder)
        for command in content["prepare"]:
            _run(command, folder, (0,))
        for picture in content["picture"]:
            drawn, kept = gallery_file(picture)
            if wanted and Path(kept).stem not in wanted:
                continue
            _run(picture["command"], folder, (0, 1))  # a verdict may be that something is wrong
            image = _page(folder / drawn, picture["heights"]) if "heights" in picture else Image.open(folder / drawn)
            if image is not None:
                _keep(image.convert("RGB"), DOCS / "gallery" / kept)


def _run(command: str, folder: Path, codes: tuple[int, ...]) -> None:
    print(command, flush=True)
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(DOCS.parent),
    }
    done = subprocess.run(
        shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        sys.exit(f"exit code {done.returncode}\n{done.stderr}")


def _page(file: Path, heights: list[int]) -> Image.Image | None:
    """Return what a browser shows of a page, between two heights in pixels."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print(f"Chromium is not installed: the picture of {file.name} is left as it is.")
        return None
    shot = file.with_suffix(".png")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-background-networking"]
    size = f"--window-size={PAGE_WIDTH},{heights[1]}"
    subprocess.run([browser, *options, size, f"--screenshot={shot}", file.as_uri()], capture_output=True, check=True)
    return Image.open(shot).crop((0, heights[0], PAGE_WIDTH, heights[1]))


def _keep(image: Image.Image, target: Path) -> None:
    if image.width > LARGEST_WIDTH:
        image = image.resize(
            (LARGEST_WIDTH, round(image.height * LARGEST_WIDTH / image.width)), Image.Resampling.LANCZOS
        )
    image.save(target, quality=QUALITY, method=6)
    print(f"  {target.name}: {image.width} x {image.height}, {target.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
