"""Runs the package's scripts that need Node alone, none of its packages."""

import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT

__all__ = ["needs_node", "run_script"]

_SCRIPTS = ROOT / "runtime" / "javascript" / "testing"


def _why_not() -> str | None:
    node = shutil.which("node")
    if node is None:
        return "Node is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"Node {version} is older than 20" if int(version.removeprefix("v").split(".")[0]) < 20 else None


_REASON = _why_not()
needs_node = pytest.mark.skipif(_REASON is not None, reason=_REASON or "")


def run_script(name: str, *arguments: str | Path) -> None:
    """Run a script; what it printed is shown if it fails."""
    command = ["node", str(_SCRIPTS / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
