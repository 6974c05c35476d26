"""Whether this machine has what the JavaScript tests need; a test that lacks it is skipped with the reason."""

import shutil
from pathlib import Path

import pytest

__all__ = ["PACKAGE", "node", "node_modules"]

PACKAGE = Path(__file__).parents[1] / "runtime" / "javascript"
_INSTALL = "`make install-web` installs what the JavaScript tests need"


def node() -> str:
    """Return the path of Node."""
    found = shutil.which("node")
    if found is None:
        pytest.skip(f"Node is not installed; with it, {_INSTALL}")
    return found


def node_modules(*names: str) -> Path:
    """Return the folder of the installed packages, among them those of these names."""
    folder = PACKAGE / "node_modules"
    missing = [name for name in names if not (folder / name / "package.json").is_file()]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing in {folder.relative_to(PACKAGE.parents[1])}; {_INSTALL}")
    return folder
