"""Every code block of the README runs, in the order of reading, in an empty folder with a photo."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import ROOT

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)

QUICKLY = {
    "torch.zeros(1, 3, 224, 224)": "torch.zeros(1, 3, 64, 64)",
    "resize=256, crop=(224, 224)": "resize=73, crop=(64, 64)",
    "torch.randn(4, 3, 224, 224)": "torch.randn(4, 3, 64, 64)",
    "-o resnet18-seed1 --seed 1": "-o resnet18-seed1 --seed 1 --input-size 64",
    "-o maps --averaged": "-o maps --input-size 64 --averaged",
    "--repeats 20": "--repeats 2",
}
"""On small images, which what is shown doesn't depend on, and measured a few times only."""


def assert_printed(shown: str, printed: list[str]) -> None:
    """Each line shown is one that was printed, in order; measured numbers and their place differ by machine."""

    def masked(line: str) -> str:
        return re.sub(r"All pass\..*|largest drift .*|its results differ by .*|is off by .*|\.py:\d+", "#", line)

    rest = iter(masked(line) for line in printed)
    for line in shown.splitlines():
        assert line == "..." or masked(line) in rest, f"{line!r} is not printed, or not there"


def run_line(line: str, layerprobe: Callable[..., Any]) -> str:
    """Run a line of a bash block and return what it prints. In this process, where torch is loaded already."""
    line = re.sub(r"\$\((.*?)\)", lambda inner: run_line(inner[1], layerprobe).strip(), line)
    words = shlex.split(line, comments=True)
    if words[0] == "layerprobe":
        outcome = layerprobe(*words[1:])
        assert outcome.code == 0, f"{line}\n{outcome.err}"
        return outcome.out
    return subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=True).stdout


def run_grad_cam(names: dict[str, Any], ran: str) -> None:
    """Run the code of the page on Grad-CAM, but for the lines of the README's that it repeats, which have run."""
    page = (ROOT / "docs" / "grad_cam.md").read_text()
    for shown, quicker in QUICKLY.items():
        page = page.replace(shown, quicker)
    lines = [line for _, code in BLOCK.findall(page) for line in code.splitlines() if line]
    new = [line for line in lines if line not in ran.splitlines()]
    assert len(lines) - len(new) == 5, "the imports, the probe, its preprocessing and its artifact"
    exec(compile("\n".join(new), "grad_cam.md", "exec"), names)
    assert names["grad_cam"].max() > 0


def test_every_code_block_runs(tmp_path, photo, layerprobe, monkeypatch):
    readme = (ROOT / "README.md").read_text()
    for shown, quicker in QUICKLY.items():
        assert shown in readme
        readme = readme.replace(shown, quicker)
    blocks = BLOCK.findall(readme)
    languages = [language for language, _ in blocks]
    assert languages == ["bash", "bash", "python", "python", "bash", "text", "bash", "bash", "bash", "bash"]
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    for language, code in blocks:
        if language == "text":
            assert_printed(code, printed)
        elif language == "python":
            names: dict[str, Any] = {}
            exec(compile(code, "README.md", "exec"), names)
            run_grad_cam(names, code)
        elif code.startswith("make "):
            # Not really made: `make test` is what runs this test. That its targets are there is checked.
            subprocess.run(["bash", "-ec", code.replace("make ", "make --dry-run ")], cwd=ROOT, check=True)
        else:
            printed = [shown for line in code.splitlines() for shown in run_line(line, layerprobe).splitlines()]
    made = {
        "resnet18",
        "maps.png",
        "tensors.safetensors",
        "layer1.png",
        "where.png",
        "class.png",
        "classes.png",
        "report.json",
        "mine",
        "wide.png",
        "averaged.png",
    }
    assert made <= {path.name for path in tmp_path.iterdir()}


def test_the_command_is_installed_and_its_output_can_be_used_in_a_shell(tmp_path, photo):
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    counted = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "printf '%s;' $(layerprobe stats .)"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert counted.split(";")[::2] == ["--mean", "--std", ""]


def test_the_library_example_has_about_ten_lines():
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    assert all(len(code.strip().splitlines()) <= 13 for language, code in blocks if language == "python")


def test_the_rule_that_the_readme_states_is_the_one_that_is_used():
    from runtime.verdict.drift import FILE_PASSING_DRIFT, PASSING_DRIFT, PASSING_ERROR

    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"at most {PASSING_ERROR:g} times machine epsilon times its natural scale" in readme
    assert f"at most {PASSING_DRIFT:g} times max(noise floor, machine epsilon of the dtype)" in readme
    assert f"off by more than {FILE_PASSING_DRIFT:g} times that" in readme


def test_the_links_of_the_documents_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "artifacts/README.md", "tests/README.md", "docs/grad_cam.md"):
        document = ROOT / name
        for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
            assert (document.parent / target).exists(), target
