"""The recipes of CONTRIBUTING.md, followed to the letter: a file and a row, and every command knows the new thing."""

import subprocess
import sys
import textwrap

import pytest

RUNNER = """
    import numpy as np

    from runtime.artifact.manifest import ONNX_FILE
    from runtime.runners.base import Runner
    from runtime.runners.onnx import OnnxRunner


    class DummyRunner(Runner):
        file = ONNX_FILE
        runtime = "Dummy"

        def _open(self, artifact):
            self._inner = OnnxRunner(artifact, "onnx-cpu", "cpu", self.settings, self.names)
            self.facts = {"runtime": "Dummy", "version": "1", "threads": self.settings.threads or 0}

        def _compute(self, inputs):
            if np.isnan(inputs["x"]).any():
                raise RuntimeError("no NaN, please")
            return self._inner.run(inputs)
"""
FORM = """
    def report_csv(report, maps):
        lines = ["runner,output,verdict"]
        for runner in report.runners:
            lines += [f"{runner.name},{output.name},{output.verdict}" for output in runner.outputs]
        return "\\n".join(lines) + "\\n"
"""
ROWS = """
    import sys
    from runtime.reporting.forms import FORMS, Form
    from runtime.runners.registry import RUNNERS, RunnerRow

    sys.path.insert(0, {folder!r})
    RUNNERS["dummy"] = RunnerRow("dummy_runner:DummyRunner")
    FORMS["csv"] = Form("csv_form:report_csv", "Write it as CSV.", "runner,output,verdict")
    from runtime.main import main
    main()
"""


@pytest.fixture
def command(tmp_path):
    """The command line with a runner and a form of the report that were added by the recipes alone."""
    (tmp_path / "dummy_runner.py").write_text(textwrap.dedent(RUNNER))
    (tmp_path / "csv_form.py").write_text(textwrap.dedent(FORM))
    code = textwrap.dedent(ROWS.format(folder=str(tmp_path)))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    return run


def test_a_runner_and_a_form_take_a_file_and_a_row_each(exported, tmp_path, command):
    artifact = exported("cnn2").path
    done = command("verify", artifact, "--runner", "dummy", "--threads", 1, "--csv", tmp_path / "r.csv")
    assert done.returncode == 0, done.stderr
    count = len(exported("cnn2").manifest.outputs)
    assert f"dummy: all {count} outputs pass" in done.stdout
    rows = (tmp_path / "r.csv").read_text().splitlines()
    assert rows[0] == "runner,output,verdict"
    assert rows[-1] == "dummy,fc,pass"
    assert len(rows) == 1 + count
    done = command("bench", artifact, "--runner", "dummy", "--repeats", 2)
    assert done.returncode == 0, done.stderr
    assert "dummy, plain" in done.stdout


def test_help_and_errors_know_what_was_added(exported, tmp_path, command):
    shown = " ".join(command("verify", "--help").stdout.split())
    assert "dummy" in shown
    assert "--csv F Write it as CSV." in shown
    for name in ("a", "b"):
        done = command("run", exported("cnn2").path, "--recorded-input", "-o", tmp_path / f"{name}.safetensors")
        assert done.returncode == 0, done.stderr
    done = command("compare", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--csv", tmp_path / "c.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c.csv").read_text().startswith("runner,output,verdict")
    assert "eager, dummy" in command("verify", exported("cnn2").path, "--runner", "dumy").stderr
