"""Make the pictures of the gallery: run the commands of gallery.md, and keep what they draw as small WebP files.

`make gallery ARGS='overlay classes'` makes some again. HTML pages are drawn by Chromium; without it, they stay.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
from PIL import Image

from runtime.runners.node_support import find_chromium

__all__ = ["commands_of_gallery", "files_of_gallery", "main", "pictures_of_gallery"]

DOCS = Path(__file__).parent
HEIGHTS = {"report": (0, 1420), "where": (1870, 3225)}
"""In pixels, from and to where an HTML page is shown."""
LARGEST_WIDTH = 1400
QUALITY = 80
PAGE_WIDTH = 1100
_PAGE = (DOCS / "gallery.md").read_text(encoding="utf-8")


def main(wanted: list[str]) -> None:
    """Make the pictures of these names, or all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg", folder / "photo.jpg")
        for file, code in files_of_gallery().items():
            (folder / file).write_text(code, encoding="utf-8")
        for command in commands_of_gallery():
            _run(command, folder, (0,))
        for picture, command in pictures_of_gallery().items():
            if not wanted or picture in wanted:
                _run(command, folder, (0, 1))  # a verdict may be that something is wrong
                _keep(_drawn(folder, picture), DOCS / "gallery" / f"{picture}.webp")


def files_of_gallery() -> dict[str, str]:
    """Return the Python files that the page shows, by name."""
    return dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', _PAGE, re.DOTALL))


def commands_of_gallery() -> list[str]:
    """Return the commands without a picture, which make what the others need."""
    (block,) = re.findall(r"```bash\n([^`]*)```\n\n(?!\[!\[)", _PAGE)
    return block.splitlines()


def pictures_of_gallery() -> dict[str, str]:
    """Return the name of each picture and the command above it."""
    found = re.findall(r"```bash\n(.*)\n```\n\n\[!\[.*\]\(gallery/(\w+)\.webp\)\]\(gallery/\2\.webp\)\n", _PAGE)
    return {name: command for command, name in found}


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


def _drawn(folder: Path, name: str) -> Image.Image | None:
    """Return what the command has drawn: a picture, or a page as a browser shows it."""
    (file,) = (file for file in folder.glob(f"{name}.*") if file.suffix in (".html", ".png", ".webp"))
    if file.suffix != ".html":
        return Image.open(file)
    browser = find_chromium()
    if browser is None:
        print("  needs Chromium (on the path, or named by LAYERPROBE_CHROMIUM), and stays as it is")
        return None
    shot, (top, bottom) = folder / f"{name}-shot.png", HEIGHTS[name]
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--disable-background-networking"]
    size = f"--window-size={PAGE_WIDTH},{bottom}"
    subprocess.run([browser, *options, size, f"--screenshot={shot}", file.as_uri()], capture_output=True, check=True)
    return Image.open(shot).crop((0, top, PAGE_WIDTH, bottom))


def _keep(image: Image.Image | None, target: Path) -> None:
    if image is None:
        return
    if image.width > LARGEST_WIDTH:
        height = round(image.height * LARGEST_WIDTH / image.width)
        image = image.resize((LARGEST_WIDTH, height), Image.Resampling.LANCZOS)
    target.parent.mkdir(exist_ok=True)
    image.convert("RGB").save(target, quality=QUALITY, method=6)
    print(f"  {target.name}: {image.width} x {image.height}, {target.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
