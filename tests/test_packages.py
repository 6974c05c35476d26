"""What the three packages offer: every name in their tables of contents is there, under that name alone."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("package", ["probe", "export", "runtime"])
def test_every_name_that_a_package_lists_can_be_imported(package):
    module = importlib.import_module(package)
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", ["probe", "export", "runtime"])
def test_no_name_is_also_a_modules(package):
    """Such a name would be the function or the module, depending on what was imported first."""
    module = importlib.import_module(package)
    assert not {info.name for info in pkgutil.iter_modules(module.__path__)} & set(module.__all__)


@pytest.mark.parametrize("package", ["probe", "export", "runtime"])
def test_importing_a_package_alone_is_quick_because_it_imports_nothing_heavy(package):
    code = f"import sys, {package}; print([m for m in ('torch', 'numpy', 'onnxruntime', 'PIL') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_export_knows_of_runtime_only_what_the_format_is():
    allowed = {"runtime.artifact.manifest", "runtime.artifact.reference"}
    for file in (Path(__file__).parents[1] / "export").glob("*.py"):
        used = set(re.findall(r"^\s*(?:from|import) (runtime[.\w]*)", file.read_text(), re.MULTILINE))
        assert used <= allowed, file
