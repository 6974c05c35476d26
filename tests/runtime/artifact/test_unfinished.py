"""What a process was writing when it ended: removed by it if it can, else by the next one, and not while it lives.

Real processes are really killed; they load no PyTorch, and wait for a line that never comes.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from export.folder_replacement import replace_folder
from runtime.artifact.file_replacement import replace_file
from runtime.artifact.unfinished import scratch_folder, unfinished

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and locks are POSIX's")

WRITING = {
    "file": "replace_file(place / 'out.json', 'mark')",
    "artifact": "replace_folder(place / 'art', overwrite=False)",
    "scratch": "scratch_folder()",
}
CHILD = """
import sys
from pathlib import Path
from export.folder_replacement import replace_folder
from runtime.artifact.file_replacement import replace_file
from runtime.artifact.unfinished import scratch_folder

place = Path(sys.argv[1])
with {writing} as partial:
    if isinstance(partial, Path):
        (partial / "half").write_text("half")
    print("torch" in sys.modules, flush=True)
    sys.stdin.readline()
"""
COMMAND = """
import select, signal, sys
from pathlib import Path
from runtime import commands, main
from runtime.artifact.file_replacement import replace_file
from runtime.artifact.unfinished import scratch_folder

def work():
    with scratch_folder() as folder, replace_file(place / "out.json", "mark") as stream:
        (folder / "half").write_text("half")
        stream.write(b"half, and the mark")
        print("at work", flush=True)
        # A signal that comes as Python begins to wait is seen when the wait ends.
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            pass
        sys.stdin.readline()

commands.load = lambda name: work
place, sys.argv[1:] = Path(sys.argv[1]), ["demo"]
"""


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a child whose temporary folders are in `tmp_path`, and wait for its first line."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        child = subprocess.Popen([sys.executable, "-c", code, tmp_path], text=True, env=environment, **pipes)
        started.append(child)
        return child

    yield run
    for child in started:
        child.kill()
        child.communicate()


def _left(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


@pytest.mark.parametrize("kind", WRITING)
def test_what_a_killed_process_left_is_removed_by_the_next_and_never_while_it_lives(kind, start, tmp_path, monkeypatch):
    child = start(CHILD.format(writing=WRITING[kind]))
    assert child.stdout.readline() == "False\n"  # PyTorch isn't loaded
    assert _left(tmp_path) == [".partial"]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    writers = {
        "file": lambda: replace_file(tmp_path / "next.json", "mark"),
        "artifact": lambda: replace_folder(tmp_path / "next", overwrite=False),
        "scratch": scratch_folder,
    }
    for writer in writers.values():
        with writer():
            assert _left(tmp_path).count(".partial") == 2
    assert _left(tmp_path).count(".partial") == 1
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert _left(tmp_path).count(".partial") == 1
    for path in (tmp_path / "next.json", tmp_path / "next"):
        path.rmdir() if path.is_dir() else path.unlink()
    with writers[kind]():
        assert _left(tmp_path).count(".partial") == 1
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".partial"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_was_killed_as_it_was_made_is_removed_by_the_next(folder, start, tmp_path):
    child = start(
        "import os, sys; from pathlib import Path; from runtime.artifact import unfinished\n"
        "unfinished._lock = lambda path: os.kill(os.getpid(), 9)\n"
        f"with unfinished.unfinished(Path(sys.argv[1]), folder={folder}): pass"
    )
    assert child.wait() == -signal.SIGKILL
    assert len(_left(tmp_path)) == 1
    with unfinished(tmp_path, folder=folder) as own:
        assert list(tmp_path.iterdir()) == [own]
    assert _left(tmp_path) == []


def test_many_that_write_into_one_folder_leave_each_other_alone(tmp_path):
    def write(number: int) -> None:
        for time in range(40):
            with unfinished(tmp_path, folder=bool(number % 2)) as own:
                inner = own / "in it" if own.is_dir() else own
                inner.write_text(f"{number} {time}")
                assert inner.read_text() == f"{number} {time}"

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert _left(tmp_path) == []


def test_what_another_machine_left_and_what_is_linked_there_are_kept(tmp_path, monkeypatch):
    (tmp_path / "precious").mkdir()
    with unfinished(tmp_path, folder=True) as own:
        name = own.name
    link = tmp_path / name
    link.symlink_to(tmp_path / "precious")
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    with unfinished(tmp_path, folder=True) as other:
        other.rename(kept := other.with_name(f"{other.stem}x.partial"))
    monkeypatch.undo()
    with unfinished(tmp_path, folder=False):
        assert kept.is_dir()
    assert link.is_symlink()
    assert (tmp_path / "precious").is_dir()


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGHUP, 129, "its terminal was closed"),
    ],
)
def test_a_command_that_a_signal_ends_removes_what_it_was_writing(number, code, word, start, tmp_path):
    child = start(f"{COMMAND}main.main()")
    assert child.stdout.readline() == "at work\n"
    assert len(_left(tmp_path)) == 2
    child.send_signal(number)
    _, err = child.communicate()
    assert (child.returncode, err) == (code, f"layerprobe: {word}\n")
    assert _left(tmp_path) == []


BESIDE = """
from threading import Thread

def beside():
    while True:
        with scratch_folder() as folder, replace_file(folder / "in it", "mark") as stream:
            (folder / "half").write_text("half")
            stream.write(b"the mark")

for _ in range(4):
    Thread(target=beside, daemon=True).start()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_removes_what_other_threads_are_beginning(number, start, tmp_path):
    child = start(f"{COMMAND}{BESIDE}main.main()")
    assert child.stdout.readline() == "at work\n"
    child.send_signal(number)
    assert child.wait() == 128 + number
    assert _left(tmp_path) == []


def test_a_signal_that_the_caller_ignores_stays_ignored(start, tmp_path):
    child = start(f"{COMMAND}signal.signal(signal.SIGHUP, signal.SIG_IGN)\nmain.main()")
    assert child.stdout.readline() == "at work\n"
    child.send_signal(signal.SIGHUP)
    _, err = child.communicate("go on\n")
    assert (child.returncode, err) == (0, "")
    assert (tmp_path / "out.json").read_text() == "half, and the mark"


@pytest.mark.parametrize(("name", "code", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
@pytest.mark.parametrize("imported", ["typer", "numpy"])
def test_a_signal_during_the_start_ends_it_without_a_traceback(name, code, word, imported, tmp_path):
    (tmp_path / f"{imported}.py").write_text(f"import os, signal\nos.kill(os.getpid(), signal.{name})\n")
    started = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['stats', 'photos']"
    line = [sys.executable, "-c", f"{started}; from runtime.main import main; main()"]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", f"layerprobe: {word}\n")


def test_nothing_that_takes_time_is_imported_before_signals_are_taken():
    code = "import sys; before = set(sys.modules); import runtime.main; print(*(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in found if name.startswith("runtime")} == {"runtime", "runtime.main"}
    assert not {"typer", "typing", "pathlib", "lazy_loader", "importlib.metadata"}.intersection(found)
