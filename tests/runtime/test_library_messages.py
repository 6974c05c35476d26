"""What libraries say on their own stays off stderr; what the user's own source says is shown."""

import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

import runtime
from runtime.library_messages import library_messages_hidden

USERS = """
import warnings
from torch import nn

def make():
    warnings.warn("mine is old")
    return nn.Conv2d(3, 4, 1)
"""


@pytest.fixture
def shown(monkeypatch) -> Iterator[list[warnings.WarningMessage]]:
    """The warnings that are shown, as a command begins."""
    monkeypatch.setattr(sys, "warnoptions", [])
    with warnings.catch_warnings(record=True) as recorded:
        warnings.simplefilter("default")
        yield recorded


def noise() -> None:
    warnings.warn("of the user's own", stacklevel=1)
    warnings.warn_explicit("of a library", UserWarning, np.__file__, 1)
    warnings.warn_explicit("of generated code", UserWarning, "<eval_with_key>.1", 1)
    warnings.warn_explicit("of Python", UserWarning, logging.__file__, 1)
    warnings.warn_explicit("of layerprobe", UserWarning, runtime.__file__, 1)
    for file in (np.__file__, __file__):
        logging.lastResort.handle(logging.LogRecord("log", logging.WARNING, file, 1, f"logged by {file}", (), None))


def test_only_what_is_of_no_library_is_shown(shown, capfd):
    with library_messages_hidden():
        noise()
    assert [str(each.message) for each in shown] == ["of the user's own"]
    assert capfd.readouterr().err == f"logged by {__file__}\n"


def test_afterwards_everything_is_shown_again(shown, capfd):
    with library_messages_hidden():
        pass
    noise()
    assert len(shown) == 5
    assert f"logged by {np.__file__}" in capfd.readouterr().err


def test_everything_is_shown_to_who_asks_for_warnings(shown, monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", ["default"])
    with library_messages_hidden():
        noise()
    assert len(shown) == 5


def test_a_models_own_warnings_reach_its_author(shown, tmp_path, layerprobe):
    (tmp_path / "own.py").write_text(USERS)
    done = layerprobe("nodes", f"{tmp_path}/own.py:make", "--input-size", 8)
    assert done.code == 0, done.err
    assert "mine is old" in [str(each.message) for each in shown]


def test_onnx_runtime_prepares_no_telemetry(tmp_path):
    """It would begin as it is imported, with a file among the temporary ones."""
    code = "import sys, layerprobe, runtime.runners.onnx; print('onnxruntime' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
    assert list(tmp_path.iterdir()) == []
