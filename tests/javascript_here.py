"""How JavaScript tests run Node, and what they need of this machine: one that lacks it is skipped with the reason."""

import os
import subprocess
from pathlib import Path

import pytest

from runtime.runners.node_support import find_chromium, why_no_node

__all__ = ["PACKAGE", "browser", "needs_node", "needs_package", "node_modules", "run_node"]

PACKAGE = Path(__file__).parents[1] / "runtime" / "javascript"
_INSTALL = "`make install-web` installs what the JavaScript tests need"
_SECONDS = 600


def _why_not(*names: str) -> str | None:
    """Return what is missing: Node, or packages of these names, in the clone's own folder."""
    folder = PACKAGE / "node_modules"
    missing = [name for name in names if not (folder / name / "package.json").is_file()]
    reason = why_no_node()
    if reason is None and missing:
        reason = f"{', '.join(missing)} missing in {folder.relative_to(PACKAGE.parents[1])}"
    return reason and f"{reason}; {_INSTALL}"


def _unless(reason: str | None) -> pytest.MarkDecorator:
    return pytest.mark.skipif(reason is not None, reason=reason or "")


needs_node = _unless(_why_not())
"""Node alone, none of its packages."""
needs_package = _unless(_why_not("onnxruntime-node", "onnxruntime-web", "playwright-core", "sharp", "typescript"))
"""Node and what the package is developed with."""


def node_modules(*names: str) -> Path:
    """Return the folder of the installed packages, among them those of these names."""
    reason = _why_not(*names)
    if reason:
        pytest.skip(reason)
    return PACKAGE / "node_modules"


def browser() -> str:
    """Return the path of Chromium."""
    found = find_chromium()
    if found is None:
        pytest.skip("no Chromium is installed; LAYERPROBE_CHROMIUM is the path of its program")
    return str(found)


def run_node(*arguments: str | Path, program: str = "node", **environment: str) -> str:
    """Run Node, or another program that comes with it, in the package's folder; return what it prints.

    What it printed is shown if it fails.
    """
    done = subprocess.run(
        [program, *map(str, arguments)],
        cwd=PACKAGE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
