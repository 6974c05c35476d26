"""A folder in which commands are run on files that something has happened to, in forked processes."""

import atexit
import gc
import importlib
import os
import shlex
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import matplotlib
import torch
from PIL import Image

from proofs.fuzzing_corpus import make_corpus
from proofs.harm import harm_done, listing
from proofs.limited_process import Ended, Kill, Limits, run_limited
from runtime.main import main as layerprobe

__all__ = ["LIMITS", "Place", "import_everything"]

_ROOT = Path(__file__).parents[2]
LIMITS = Limits()
_OF_MAKING = Limits(cpu_s=600, wall_s=1200, memory_bytes=2**33)


class Place:
    """Right files, and a copy of them that is changed and in which commands run: what they write goes to `out`.

    Beside the files are an empty folder for temporary ones, and the home folder, with a file that must stay.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits = LIMITS,
        make: Callable[[Path, Callable[[str], int]], None] = make_corpus,
    ) -> None:
        self.path = folder / "place"
        self._good, self._logs, self._limits = folder / "good", folder / "logs", limits
        self._logs.mkdir()
        for name in ("", "out", "tmp", "home"):
            (self._good / name).mkdir()
        (self._good / "home" / "kept").write_text("as it was", encoding="utf-8")
        ended = self._forked(lambda: make(self._good, _exit_code), self._good, _OF_MAKING)
        if ended.code:
            raise RuntimeError(f"the right files can't be made: {ended.err[-2000:]}")
        self.renew()

    def renew(self) -> None:
        """Put the right files in place."""
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self._good, self.path)

    def judge(self, command: str | Callable[[], object], goes_on_in: str | None = None) -> tuple[Ended, list[str]]:
        """Run a command line, or a function in place of one: how it ended, and what it did that none may do.

        It may write to `out`, and to `goes_on_in`, if it continues what is there.
        """
        before = listing(self.path)
        call = command if callable(command) else lambda: _layerprobe(command)
        ended = self._forked(call, self.path, self._limits)
        return ended, list(harm_done(ended, before, self.path, "out", goes_on_in))

    def run(self, command: str, kill: Kill | None = None, *, new: bool = False) -> Ended:
        """Run a command line, which a signal may end; `new`: in a process that has imported nothing yet."""
        call = (lambda: _start(command)) if new else (lambda: _layerprobe(command))
        return self._forked(call, self.path, self._limits, kill)

    def _forked(self, command: Callable[[], object], folder: Path, limits: Limits, kill: Kill | None = None) -> Ended:
        places = {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")}
        return run_limited(command, folder, logs=self._logs, environment=places, limits=limits, kill=kill)


def _layerprobe(command: str) -> NoReturn:
    """Run a command line as the process of the command does."""
    tempfile.tempdir = None  # as of the environment
    sys.argv[1:] = shlex.split(command)
    layerprobe()
    raise AssertionError("the command line returned")


def _start(command: str) -> NoReturn:
    """Become a new process of the command."""
    arguments = [sys.executable, "-m", "runtime", *shlex.split(command)]
    os.execve(sys.executable, arguments, {**os.environ, "PYTHONPATH": str(_ROOT)})


def _exit_code(command: str) -> int:
    try:
        _layerprobe(command)
    except SystemExit as stop:
        return int(stop.code or 0)


def import_everything() -> None:
    """Import what the commands import when they run, so that what is forked has it."""
    for package in ("probe", "export", "runtime"):
        for module in sorted((_ROOT / package).rglob("[a-z]*.py")):
            with suppress(ImportError):  # a runtime that isn't installed
                importlib.import_module(".".join(module.relative_to(_ROOT).with_suffix("").parts))
    for name in ("matplotlib.font_manager", "onnxruntime", "rich.table", "torch.onnx", "torchvision"):
        importlib.import_module(name)
    matplotlib.get_configdir()  # which makes it in the home folder
    Image.init()
    torch.set_num_threads(1)
    warnings.resetwarnings()  # as in a new process, whatever this one was started with
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    sys.warnoptions.clear()
    gc.freeze()  # the search for garbage would copy every page in each process
    atexit.register(gc.unfreeze)  # otherwise Triton lists, at the exit, every object that is not collected
