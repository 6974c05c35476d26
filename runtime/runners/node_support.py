"""Where npm packages and Chromium are, for the JavaScript runners and the page; what to install where they aren't.

Packages of the current folder are not used: what lies beside an artifact of a stranger may be a program of his.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = [
    "MODULES_VARIABLE",
    "PROGRAM",
    "find_chromium",
    "installed_package",
    "node_modules",
    "why_no_browser",
    "why_no_node",
    "why_no_package",
]

PROGRAM = Path(__file__).parents[1] / "javascript" / "runner" / "main.js"
"""What Node runs."""
_DRIVER = "playwright-core"
"""The npm package that drives the browser."""
MODULES_VARIABLE, _CHROMIUM_VARIABLE = "LAYERPROBE_NODE_MODULES", "LAYERPROBE_CHROMIUM"
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
    missing = [name for name in names if installed_package(name) is None]
    if not missing:
        return None
    if os.environ.get(MODULES_VARIABLE):
        return (
            f"{node_modules()} ({MODULES_VARIABLE}) has no {' and no '.join(missing)}: name a node_modules folder in "
            f"which `npm install --ignore-scripts {' '.join(missing)}` put it"
        )
    return (
        f"the npm package {' and '.join(missing)} is not installed: `make install-web` in a clone, or `npm install "
        f"--ignore-scripts {' '.join(missing)}` anywhere, with {MODULES_VARIABLE} set to its node_modules folder"
    )


def node_modules() -> Path:
    """Return the folder where the npm packages are looked for; it need not exist."""
    return Path(os.environ.get(MODULES_VARIABLE) or PROGRAM.parents[1] / "node_modules").absolute()


def installed_package(name: str) -> Path | None:
    """Return the folder of an npm package in `node_modules`, or in a folder that has one; None if it isn't there."""
    places = (node_modules() / name, node_modules() / "node_modules" / name)
    return next((place for place in places if (place / "package.json").is_file()), None)


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
