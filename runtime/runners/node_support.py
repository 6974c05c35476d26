"""Whether Node, its packages and Chromium are there for the JavaScript runners, and if not, what to install.

Packages of the current folder are not used: what lies beside an artifact of a stranger may be a program of his.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["PROGRAM", "find_chromium", "node_modules", "why_no_browser", "why_no_node", "why_no_package"]

PROGRAM = Path(__file__).parents[1] / "javascript" / "runner" / "main.js"
"""What Node runs."""
_DRIVER = "playwright-core"
"""The npm package that drives the browser."""
_MODULES_VARIABLE, _CHROMIUM_VARIABLE = "LAYERPROBE_NODE_MODULES", "LAYERPROBE_CHROMIUM"
_OLDEST_NODE = 20
_SECONDS = 10
"""After which a program `node` that says nothing is no Node."""
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
"""What the browser's program may be called."""


def why_no_node() -> str | None:
    """Return the reason why no JavaScript can run here; None if Node is on the path, and new enough."""
    node = shutil.which("node")
    if node is None:
        return f"Node is not installed (there is no `node` on the path): install Node {_OLDEST_NODE} or later"
    version = _version(node)
    if version and int(version.partition(".")[0]) < _OLDEST_NODE:
        return f"Node {version} ({node}) is too old: install Node {_OLDEST_NODE} or later"
    return None


def why_no_package(*names: str) -> str | None:
    """Return the reason why these npm packages can't run here; None if Node and they are there."""
    reason = why_no_node()
    if reason:
        return reason
    folder = node_modules()
    missing = [name for name in names if not _has(folder, name)]
    if not missing:
        return None
    if os.environ.get(_MODULES_VARIABLE):
        return (
            f"{folder} ({_MODULES_VARIABLE}) has no {' and no '.join(missing)}: name a node_modules folder in which "
            f"`npm install --ignore-scripts {' '.join(missing)}` put it"
        )
    return (
        f"the npm package {' and '.join(missing)} is not installed: `make install-web` in a clone, or `npm install "
        f"--ignore-scripts {' '.join(missing)}` anywhere, with {_MODULES_VARIABLE} set to its node_modules folder"
    )


def node_modules() -> Path:
    """Return the folder where the npm packages are looked for; it need not exist."""
    return Path(os.environ.get(_MODULES_VARIABLE) or PROGRAM.parents[1] / "node_modules").absolute()


def why_no_browser() -> str | None:
    """Return the reason why no browser can run here; None if Chromium and what drives it are there."""
    reason = why_no_package(_DRIVER)
    if reason or find_chromium():
        return reason
    named = os.environ.get(_CHROMIUM_VARIABLE)
    if named:
        return f"{named} ({_CHROMIUM_VARIABLE}) is no program"
    return f"Chromium is not installed: install chromium, or set {_CHROMIUM_VARIABLE} to its program"


def find_chromium() -> Path | None:
    """Return the browser's program, if there is one."""
    named = os.environ.get(_CHROMIUM_VARIABLE)
    found = next(filter(None, map(shutil.which, [named] if named else _CHROMIUM)), None)
    return Path(found) if found else None


@cache
def _version(node: str) -> str | None:
    """Return the version that a program `node` prints; None where it prints none."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.fullmatch(r"v(\d+(?:\.\d+)*)", said.strip())
    return found[1] if found else None


def _has(folder: Path, package: str) -> bool:
    return any((place / package / "package.json").is_file() for place in (folder, folder / "node_modules"))
