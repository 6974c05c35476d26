"""The first mutants of `make fuzzing` do no harm; and harm, where a command does it, is told."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import numpy as np
import pytest
from onnx_making import node, save, value, weight
from PIL import Image
from safetensors.numpy import save_file

from proofs.fuzzing_corpus import FORMATS
from proofs.fuzzing_place import Place
from proofs.harm import listing, why_half
from proofs.kills import Job, harm_of, state_of
from proofs.limited_process import Ended, Kill, Limits
from proofs.mutations import BY_FORM, mutate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked, and limited as Linux does it")

ROOT = Path(__file__).parents[2]


def test_the_first_two_hundred_changed_files_do_no_harm(tmp_path: Path) -> None:
    """In a process of its own, as it is forked 200 times."""
    page = tmp_path / "page.md"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "proofs.fuzzing", str(page), "--mutants", "200"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in page.with_suffix(".jsonl").read_text().splitlines()]
    assert (done.returncode, [row for row in rows if row["harm"]]) == (0, []), done.stderr
    assert len(rows) == 200
    assert {row["format"] for row in rows} == set(FORMATS)
    assert {0, 1, 3} <= {row["code"] for row in rows} <= {0, 1, 2, 3, 4}
    assert "**200 files were changed, each in one way, and read by a command; 0 commands did" in page.read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """With a few files only, and little time."""

    def make(folder: Path, _call: Callable[[str], int]) -> None:
        (folder / "photo.png").write_bytes(b"a photo")

    return Place(tmp_path_factory.mktemp("place"), Limits(cpu_s=1, wall_s=2, memory_bytes=2**28), make)


def _writes(name: str, content: str = "x") -> Callable[[], object]:
    return lambda: Path(name).write_text(content)


def _says(text: str, code: int = 3) -> Callable[[], object]:
    def say() -> None:
        sys.stderr.write(text)
        sys.exit(code)

    return say


def _computes_for_ever() -> None:
    while True:
        pass


def _raises() -> None:
    raise ValueError("of ours")


PLANTED = {
    "a partial file": (_writes("out/.layerprobe-here-0123456789ab.partial"), "left behind: .layerprobe-here-"),
    "half a result": (_writes("out/r.json", '{"headline": "All'), "half written: r.json"),
    "a changed input": (_writes("photo.png"), "changed: photo.png"),
    "a lost input": (lambda: Path("photo.png").unlink(), "removed: photo.png"),
    "a file in the home folder": (_writes("home/.cache"), "made: home/.cache"),
    "a file beside the results": (_writes("result"), "made: result"),
    "a temporary file": (_writes("tmp/x"), "made: tmp/x"),
    "a traceback": (_raises, "a traceback"),
    "a bug": (_says("layerprobe: internal error\n", 70), "exit code 70"),
    "an endless loop": (_computes_for_ever, "hangs"),
    "an endless wait": (signal.pause, "hangs"),
    "a crash": (lambda: os.kill(os.getpid(), signal.SIGSEGV), "ended by signal 11"),
    "too much memory": (lambda: bytearray(2**29), "a traceback"),
    "a warning": (_says("/site-packages/PIL/Image.py:1: UserWarning: odd\n  odd()\n", 0), "a library's words: /site"),
    "a library's line": (_says("tempfile.tif: Using code not yet in table.\n"), "a library's words: tempfile.tif"),
    "many lines": (_says("layerprobe: it is wrong\n" * 9), "9 lines of errors"),
    "a command to the terminal": (_says("layerprobe: \x1b]0;evil\x07 is wrong\n"), "control characters"),
    "silence": (_says(""), "an error without a word"),
}


@pytest.mark.parametrize(("command", "told"), PLANTED.values(), ids=PLANTED.keys())
def test_a_command_that_does_harm_is_told(place: Place, command: Callable[[], object], told: str) -> None:
    place.renew()
    _, harm = place.judge(command)
    assert any(each.startswith(told) for each in harm), harm


def test_a_command_that_does_none_is_not(place: Place) -> None:
    place.renew()

    def command() -> None:
        _writes("out/r.json", "{}")()
        _says("layerprobe: photo.png is no photo.\nGive a photo.\n")()

    ended, harm = place.judge(command)
    assert (ended.code, harm) == (3, [])
    assert ended.err == "layerprobe: photo.png is no photo.\nGive a photo.\n"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small file of each form, but for a manifest, which needs its artifact."""
    folder = tmp_path_factory.mktemp("samples")
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    (folder / "json").write_text(json.dumps({"a": [1, {"b": "text"}], "c": None}))
    save_file({"x": array, "y": array + 1}, folder / "safetensors", metadata={"k": '{"z": [1]}'})
    with zipfile.ZipFile(folder / "zip", "w") as archive:
        archive.writestr("a.json", '{"b": 1}')
        archive.writestr("c", b"some bytes")
    np.save(folder / "numpy.npy", array)
    Image.new("RGB", (9, 9), "red").save(folder / "png.png")
    nodes = [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Elu", ["c"], ["y"], alpha=0.5)]
    save(folder / "onnx", nodes, [value("x", 1, 3, 8, 8)], [value("y", 1, 2, 8, 8)], [weight("w", 2, 3, 3, 3)])
    return {each.stem: each for each in folder.iterdir()}


@pytest.mark.parametrize("form", sorted(set(BY_FORM) - {"manifest"}))
def test_every_mutation_changes_a_file_and_by_the_same_chance_in_the_same_way(
    samples: Mapping[str, Path], tmp_path: Path, form: str
) -> None:
    whole = samples[form if form in samples else "onnx"].read_bytes()
    for name, change in BY_FORM[form].items():
        outcomes = []
        for number in (0, 1, 2, 3, 4, 0):
            copy = tmp_path / f"{name}-{len(outcomes)}" / "copy"
            copy.parent.mkdir()
            copy.write_bytes(whole)
            change(copy, Random(number))
            outcomes.append(_held(copy))
        assert outcomes[0] == outcomes[-1], name
        assert any(each != whole for each in outcomes), name


def test_most_mutations_are_of_the_files_form(samples: Mapping[str, Path], tmp_path: Path) -> None:
    done = []
    for number in range(60):
        copy = tmp_path / str(number)
        copy.write_bytes(samples["safetensors"].read_bytes())
        done.append(mutate(copy, "safetensors", Random(number)))
    assert 30 < sum(name in BY_FORM["safetensors"] for name in done) < 60


def _held(path: Path) -> object:
    """Return what is at a path, which may be no file."""
    if path.is_symlink():
        return path.readlink()
    return path.read_bytes() if path.is_file() and path.stat().st_size < 2**25 else path.exists()


OLD, NEW, HALF = b"{}", b'{"new": 1}', b'{"ne'
JOB = Job("", "", "r.json", lambda path: "new" in path.read_text())


@pytest.mark.parametrize(
    ("content", "state"), [(OLD, "old"), (NEW, "new"), (HALF, "half"), (b"[]", "half"), (None, "absent")]
)
def test_what_a_kill_left_is_told(tmp_path: Path, content: bytes | None, state: str) -> None:
    (tmp_path / "r.json").write_bytes(OLD)
    before = listing(tmp_path)
    (tmp_path / "r.json").unlink() if content is None else (tmp_path / "r.json").write_bytes(content)
    found = state_of(JOB, tmp_path, before)
    assert found.partition(":")[0] == state
    ended = Ended(-9, 1.0, 1.0, 0, "", "", hangs=False)
    assert bool([*harm_of(ended, signal.SIGKILL, found, [], existed=True)]) == (state in ("half", "absent"))


KILLED: Mapping[str, tuple[int, str, list[str], bool]] = {
    "in order": (143, "layerprobe: terminated\n", [], False),
    "before Python has begun": (-15, "", [], False),
    "with its work done": (0, "", [], False),
    "after what it said before": (143, "images that an earlier scan had done: 4\nlayerprobe: terminated\n", [], False),
    "with a traceback": (143, "Traceback (most recent call last):\n", [], True),
    "with something left": (143, "layerprobe: terminated\n", [".layerprobe-x.partial"], True),
    "with something left before Python has begun": (-15, "", [".layerprobe-x.partial"], True),
    "with its work done and something left": (0, "", [".layerprobe-x.partial"], True),
    "with another code": (1, "layerprobe: terminated\n", [], True),
    "without a word": (143, "", [], True),
}


@pytest.mark.parametrize(("code", "err", "left", "harmful"), KILLED.values(), ids=KILLED.keys())
def test_how_a_command_ends_by_a_signal_is_judged(code: int, err: str, left: list[str], harmful: bool) -> None:
    ended = Ended(code, 1.0, 1.0, 0, "", err, hangs=False)
    assert bool([*harm_of(ended, signal.SIGTERM, "old", left, existed=True)]) == harmful


def test_a_signal_is_sent_at_its_moment(place: Place, tmp_path: Path) -> None:
    place.renew()
    ended = place.run("stats none", Kill(0, signal.SIGKILL))
    assert ended.code == -signal.SIGKILL
    assert why_half(tmp_path) is not None  # a folder that is no artifact
