"""What the packages and `layerprobe` offer: every name in their tables of contents is there, under that name alone."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest

import layerprobe


@pytest.mark.parametrize("package", ["layerprobe", "probe", "export", "runtime"])
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


@pytest.mark.parametrize("package", ["layerprobe", "probe", "export", "runtime"])
def test_importing_a_package_alone_is_quick_because_it_imports_nothing_heavy(package):
    heavy = ("torch", "numpy", "pydantic", "onnxruntime", "PIL")
    code = f"import sys, {package}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_layerprobe_lists_each_name_once_and_for_type_checkers_too():
    source = ast.parse(Path(layerprobe.__file__).read_text(encoding="utf-8"))
    (types_alone,) = (node for node in source.body if isinstance(node, ast.If))
    imported = [alias.name for node in types_alone.body for alias in node.names]
    assert sorted(imported) == sorted(layerprobe.__all__) == sorted(set(layerprobe.__all__))
    assert dir(layerprobe) == sorted(layerprobe.__all__)


def test_every_error_and_warning_can_be_caught_by_its_name():
    root = Path(layerprobe.__file__).parent
    files = [file for package in ("probe", "export", "runtime") for file in (root / package).rglob("*.py")]
    classes = [
        (node.name, {base.id for base in node.bases if isinstance(base, ast.Name)}, file.name)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    shown = {name for name, bases, file in classes if "UserWarning" in bases or file == "errors.py"}
    assert len(shown) >= 15
    assert shown <= set(layerprobe.__all__)


def test_layerprobe_says_that_a_name_is_unknown():
    with pytest.raises(AttributeError, match="no attribute 'build_prob'"):
        _ = layerprobe.build_prob


def test_where_the_package_is_listed_no_link_leads_nowhere():
    description = metadata("layerprobe").get_payload()
    assert description.startswith("# layerprobe\n")
    assert "How verdicts work has the reasons" in description
    assert [link for link in re.findall(r"\]\(([^)]*)\)", description) if not link.startswith("https:")] == []


def test_layerprobe_takes_paths_where_it_takes_artifacts(exported):
    path = exported("cnn2").path
    x = np.zeros((1, 3, 64, 64), np.float32)
    assert list(layerprobe.open_runner(path).run({"x": x})) == layerprobe.open_artifact(path).manifest.output_names
    assert layerprobe.open_runner(str(path)).name in ("onnx-cpu", "onnx-cuda")
    assert layerprobe.verify(path, ["onnx-cpu"]).passed
    assert layerprobe.benchmark(path, ["onnx-cpu"], repeats=1).timings
    artifact = exported("cnn2")
    assert layerprobe.open_artifact(artifact) is artifact
