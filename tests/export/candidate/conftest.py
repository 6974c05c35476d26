"""A model with its artifact and its file, and a candidate judged against it: what the tests here share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from candidate_files import Made, make

from export.sources import write_candidate_of
from runtime import Artifact, open_artifact
from runtime.verdict.goal import Goal
from runtime.verdict.report import Report
from runtime.verdict.verification import verify


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("candidates"))


@pytest.fixture
def judged(made: Made, tmp_path: Path) -> Callable[..., Report]:
    """Judge a file, by the model's artifact if nothing else is given."""

    def judge(
        file: Path,
        source: Artifact | None = None,
        runners: tuple[str, ...] = ("onnx-float64", "onnx-cpu"),
        goal: Goal | None = None,
    ) -> Report:
        folder = tmp_path / f"{file.stem}-judged"
        right_values = write_candidate_of(file, source or made.artifact, folder, lambda phase: None)
        return verify(open_artifact(folder), runners, right_values=right_values, goal=goal)

    return judge
