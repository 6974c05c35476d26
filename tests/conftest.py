"""What several test files share: exported variants, and the command line as a user meets it."""

import functools
import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import torch
from candidate_files import Made, make
from hypothesis import settings
from torch._export import utils as _export_utils
from torch.onnx._internal.exporter import _registration

from export import export_artifact
from export.sources import write_candidate_of
from probe import build_probe, load_model
from runtime import RUNNERS, Artifact, Preprocessing, Settings, open_artifact
from runtime.main import main
from runtime.runners.cuda_support import why_no_cuda
from runtime.runners.registry import RunnerRow
from runtime.verdict.goal import Goal
from runtime.verdict.report import Report
from runtime.verdict.verification import verify

# In CI the same examples each time: a new find belongs to whoever searches, not to whoever happens to submit.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# On images as small as the tests', a second thread costs more than it brings, and the other worker needs the core: two
# threads that wait for one core spin, and take ten times the time. The variable is for the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so would the commands that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
"""Of the repository."""
VARIANTS = ("cnn11", "cnn2", "cnn3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_no_cuda()
    for item in items:
        if reason and item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason=f"needs CUDA: {reason}"))


def pytest_collection_finish() -> None:
    # Half a million objects were imported and stay: the search for garbage need not pass them again and again.
    gc.freeze()


def pytest_sessionfinish() -> None:
    # Otherwise Triton lists on stderr, at the exit, every object that isn't collected.
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def quick_exports() -> Iterator[None]:
    """Let torch.onnx read the source of its 500 operators once, and torch.export list those of each library once: they
    would for every export, a quarter of its time.
    """
    slow = (
        (_registration.onnxscript_apis, "get_torchlib_ops"),
        (_registration._schemas, "op_signature_from_function"),
        (_export_utils, "_materialize_cpp_cia_ops"),
    )
    with pytest.MonkeyPatch.context() as patch:
        for module, name in slow:
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def layerprobe(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `layerprobe ARGUMENTS` and return exit code, stdout and stderr."""

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


class _StandIn(RunnerRow):
    """A row that opens what a test wants, in place of a class by its name."""

    def __init__(self, open_it: Callable[..., Any]) -> None:
        super().__init__(home="")
        object.__setattr__(self, "_open_it", open_it)

    def open(self, artifact: Artifact, name: str, settings: Settings, outputs: Sequence[str] | None) -> Any:
        return self._open_it(artifact, settings, outputs)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a runner open `open_it(artifact, settings, outputs, opened)`, where `opened` is what opened it before."""

    def install(name: str, open_it: Callable[..., Any], of: str | None = None) -> None:
        row = RUNNERS[of or name]

        def opened(artifact: Artifact, settings: Settings, outputs: Sequence[str] | None) -> Any:
            return row.open(artifact, of or name, settings, outputs)

        monkeypatch.setitem(RUNNERS, name, _StandIn(lambda *given: open_it(*given, opened)))

    return install


@pytest.fixture(scope="session")
def photo() -> Path:
    return Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artifact]:
    """Return the artifact of a variant, exported once; a test that changes one copies it first."""
    folder = tmp_path_factory.mktemp("exported")

    def export(name: str) -> Artifact:
        target = folder / name
        if not target.exists():
            loaded = load_model(name)
            steps = Preprocessing(resize=64, crop=(64, 64), mean=list(loaded.image.mean), std=list(loaded.image.std))
            probe = build_probe(loaded.module, *loaded.example)
            export_artifact(probe, target, name=name, preprocessing=steps)
        return open_artifact(target)

    return export


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model with its artifact and a file of it without names, for what is judged against it."""
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
