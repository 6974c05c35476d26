"""An artifact needs neither the model's source nor layerprobe's other packages, nor (for ONNX) PyTorch."""

import re
import subprocess
import sys
import textwrap

import onnx
import pytest

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"{{name}} is blocked in this test", name=name)
sys.meta_path.insert(0, Block())
"""
MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.activation = nn.ReLU(inplace=True)
        self.fc = nn.Linear(8 * 31 * 31, 4)

    def forward(self, x):
        return self.fc(self.activation(self.conv(x)).flatten(1))
"""


def _python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("package", "runner", "raised"),
    [
        ("openvino", "openvino", "ImportError"),
        ("torch", "torchscript", "OSError"),
        ("onnxruntime", "onnx-cpu", "ImportError"),
    ],
)
def test_a_package_that_is_there_and_broken_is_told_and_stops_nobody_else(exported, tmp_path, package, runner, raised):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise {raised}('no libsomething.so')")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from runtime.main import main; main()"
    command = ("verify", exported("cnn3").path, "-q", "--runner")
    alone = _python(code, tmp_path, *command, runner)
    assert (alone.returncode, alone.stdout) == (4, "")
    assert f"The runner {runner} needs a package that can't be loaded: no libsomething.so" in alone.stderr
    others = _python(code, tmp_path, *command, "onnx-reference", "--runner", "all")
    assert others.returncode == 0, others.stderr


@pytest.fixture(scope="module")
def orphan(tmp_path_factory):
    """An artifact whose model's source is gone."""
    folder = tmp_path_factory.mktemp("orphan")
    source = folder / "net_that_goes.py"
    source.write_text(MODEL)
    layerprobe = [sys.executable, "-m", "runtime"]
    made = subprocess.run(
        [*layerprobe, "export", f"{source}:Net", "-o", folder / "artifact", "--input-size", "64"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert "leaked" not in made.stderr  # Triton lists what isn't collected at the exit
    source.unlink()
    return folder / "artifact"


def test_onnx_runs_draws_records_and_verifies_without_torch_probe_and_export(orphan, photo, tmp_path):
    code = BLOCK.format(blocked={"torch", "torchvision", "probe", "export"}) + textwrap.dedent("""
        from runtime.main import main
        for command in (
            ["run", sys.argv[1], sys.argv[2], "-o", sys.argv[3] + "/t.safetensors"],
            ["grid", sys.argv[1], sys.argv[2], "-o", sys.argv[3] + "/maps.png"],
            ["grid", sys.argv[1], sys.argv[2], "-o", sys.argv[3] + "/class.png", "--cam", "--class", "1"],
            ["verify", sys.argv[1], "--runner", "onnx-cpu"],
            ["bench", sys.argv[1], "--runner", "onnx-cpu", "--repeats", "2"],
        ):
            try:
                main(command)
            except SystemExit as stop:
                assert not stop.code, (command, stop.code)
        assert "torch" not in sys.modules
        print("alone")
    """)
    done = _python(code, orphan, photo, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("alone\n")


def test_an_onnx_file_is_verified_against_another_without_torch(tmp_path):
    x, y = (onnx.helper.make_tensor_value_info(name, 1, [1, 3, 8, 8]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "relu.onnx")
    code = """
        import sys
        from runtime.main import main
        try:
            main(["verify", sys.argv[1], "--against", sys.argv[1]])
        except SystemExit as stop:
            assert not stop.code
        assert "torch" not in sys.modules
    """
    done = _python(code, tmp_path / "relu.onnx")
    assert done.returncode == 0, done.stderr
    assert "torchscript is left out: " in done.stderr


def test_torchscript_runs_without_probe_and_export(orphan, photo, tmp_path):
    code = BLOCK.format(blocked={"probe", "export", "onnxruntime", "onnx", "torchvision"}) + textwrap.dedent("""
        from runtime.main import main
        main(["run", sys.argv[1], sys.argv[2], "-o", sys.argv[3] + "/t.safetensors", "--runner", "torchscript"])
    """)
    done = _python(code, orphan, photo, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["nodes", "cnn2"], ["export", "cnn2", "-o", "nowhere"]])
def test_what_needs_torch_says_what_to_install(command):
    done = _python(BLOCK.format(blocked={"torch"}) + f"\nfrom runtime.main import main\nmain({command!r})")
    assert done.returncode == 4
    said, advice = done.stderr.splitlines()
    assert said == "layerprobe: this needs the package torch, which is not installed."
    # Of packages that are on an index, as layerprobe itself may not be.
    assert re.fullmatch(r"pip install( '[a-z-]+>=[0-9.]+')+", advice)
    assert "'torch>=" in advice


def test_the_list_of_commands_is_quick_because_their_modules_import_nothing_heavy():
    done = _python("""
        import sys
        from runtime.main import main
        try:
            main(["--help"])
        except SystemExit as stop:
            assert not stop.code
        heavy = {"torch", "numpy", "pydantic", "onnxruntime", "PIL", "rich"} & set(sys.modules)
        assert not heavy, heavy
    """)
    assert done.returncode == 0, done.stderr
    assert "verify" in done.stdout


def test_help_and_grid_do_not_import_torch(orphan, photo, tmp_path):
    code = """
        import sys
        from runtime.main import main
        for command in (["--help"], ["grid", sys.argv[1], sys.argv[2], "-o", sys.argv[3]]):
            try:
                main(command)
            except SystemExit as stop:
                assert not stop.code
        heavy = {"torch", "onnx", "matplotlib.pyplot", "pandas", "scipy"} & set(sys.modules)
        assert not heavy, heavy
        # What takes a tenth of the time each: all of Pillow's formats, and what verdicts or class maps need.
        slow = {"PIL.PdfImagePlugin", "runtime.artifact.reference", "safetensors", "runtime.cam"} & set(sys.modules)
        assert not slow, slow
    """
    done = _python(code, orphan, photo, tmp_path / "maps.jpg")
    assert (done.returncode, done.stderr) == (0, "")


def test_probe_needs_neither_onnx_nor_a_runtime():
    done = _python("""
        import sys
        from probe import build_probe, load_model
        import torch
        build_probe(load_model("cnn2").module, torch.zeros(1, 3, 64, 64))
        loaded = {name.partition(".")[0] for name in sys.modules} & {"export", "onnx", "onnxruntime", "onnxscript"}
        assert not loaded, loaded
        rooms = {name.split(".")[1] for name in sys.modules if name.startswith("runtime.")}
        assert rooms == {"artifact"}, rooms
    """)
    assert done.returncode == 0, done.stderr
