"""Every code block of the README runs, in the order of reading, in an empty folder with a photo."""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def assert_printed(shown: str, printed: list[str]) -> None:
    """Each line shown is one that was printed, in order; measured numbers and their place differ by machine."""

    def masked(line: str) -> str:
        return re.sub(r"All pass\..*|largest drift .*|its results differ by .*|\.py:\d+", "#", line)

    rest = iter(masked(line) for line in printed)
    for line in shown.splitlines():
        assert line == "..." or masked(line) in rest, f"{line!r} is not printed, or not there"


def test_every_code_block_runs(tmp_path, photo):
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    languages = [language for language, _ in blocks]
    assert languages == ["bash", "python", "bash", "text", "bash", "bash", "bash", "bash"]
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed: list[str] = []
    for language, code in blocks:
        if language == "text":
            assert_printed(code, printed)
            continue
        if language == "python":
            command, folder = [sys.executable, "-c", code], tmp_path
        elif code.startswith("make "):
            # Not really made: `make test` is what runs this test. That its targets are there is checked.
            command, folder = ["bash", "-ec", code.replace("make ", "make --dry-run ")], ROOT
        else:
            command, folder = ["bash", "-euo", "pipefail", "-c", code], tmp_path
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        printed = done.stdout.splitlines()
    made = {
        "resnet18",
        "maps.png",
        "tensors.safetensors",
        "layer1.png",
        "report.json",
        "mine",
        "wide.png",
        "averaged.png",
    }
    assert made <= {path.name for path in tmp_path.iterdir()}


def test_the_library_example_has_about_ten_lines():
    library = next(code for language, code in BLOCK.findall((ROOT / "README.md").read_text()) if language == "python")
    assert len(library.strip().splitlines()) <= 13


def test_the_rule_that_the_readme_states_is_the_one_that_is_used():
    from runtime.verdict.drift import FILE_PASSING_DRIFT, PASSING_DRIFT, PASSING_ERROR

    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"at most {PASSING_ERROR:g} times machine epsilon times its natural scale" in readme
    assert f"at most {PASSING_DRIFT:g} times max(noise floor, machine epsilon of the dtype)" in readme
    assert f"off by more than {FILE_PASSING_DRIFT:g} times that" in readme


def test_the_links_of_the_documents_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "artifacts/README.md", "tests/README.md"):
        document = ROOT / name
        for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
            assert (document.parent / target).exists(), target
