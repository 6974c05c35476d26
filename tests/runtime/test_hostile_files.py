"""Files and paths that somebody else made: whatever they are, a command ends in two lines and an exit code, at once."""

import io
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from altered_artifacts import alter_everywhere, copy_of, rehash
from safetensors import safe_open
from safetensors.numpy import load_file, save
from torch import nn

from conftest import Outcome
from export import export_artifact
from probe import build_probe
from probe.node_tree import node_tree
from runtime import Artifact, ExportError, ImageError
from runtime.artifact.embedded_manifest import read_embedded_manifest
from runtime.runs.image_reading import read_image

Layerprobe = Callable[..., Outcome]


@pytest.fixture
def folder(exported: Callable[[str], Artifact], tmp_path: Path) -> Path:
    return copy_of(exported("cnn2").path, tmp_path / "art")


def told(outcome: Outcome, *words: str, code: int = 3) -> None:
    """Check that an error is told in one or two lines."""
    assert outcome.code == code, outcome
    assert all(word in outcome.err for word in words), outcome.err
    assert 1 <= len([line for line in outcome.err.splitlines() if "left out" not in line]) <= 2


# A command that would hang is a failure of the test run, so each of these returns or is stopped by the harness.
SPECIAL = (
    (("run", "{art}", "{odd}.jpg", "-o", "{out}/o"), "neither a file nor a folder"),
    (("run", "{art}", "{odd}.npy", "-o", "{out}/o"), "not a regular file"),
    (("run", "{art}", "{odd}.safetensors", "-o", "{out}/o"), "not a regular file"),
    (("grid", "{art}", "{odd}.jpg", "-o", "{out}/o.png"), "neither a file nor a folder"),
    (("verify", "{odd}.onnx"), "neither a folder nor a file"),
    (("nodes", "{odd}.onnx"), "not a regular file"),
    (("verify", "{art}", "--baseline", "{odd}.json"), "not a regular file"),
    (("verify", "{art}", "--tensors", "{odd}.safetensors"), "not a regular file"),
    (("compare", "{odd}.safetensors", "{odd}.safetensors"), "not a regular file"),
    (("run", "/dev/zero", "{photo}", "-o", "{out}/o"), "neither a folder nor a file"),
    (("verify", "{art}", "--baseline", "/dev/zero"), "not a regular file"),
)


@pytest.mark.parametrize(("arguments", "said"), SPECIAL)
def test_a_pipe_or_a_device_is_not_waited_for(
    folder: Path, photo: Path, tmp_path: Path, layerprobe: Layerprobe, arguments: Sequence[str], said: str
) -> None:
    for kind in ("jpg", "npy", "safetensors", "onnx", "json"):
        os.mkfifo(tmp_path / f"odd.{kind}")
    filled = [text.format(art=folder, odd=tmp_path / "odd", out=tmp_path, photo=photo) for text in arguments]
    told(layerprobe(*filled), said)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "reference.safetensors"])
def test_a_pipe_in_an_artifact_is_not_waited_for(folder: Path, layerprobe: Layerprobe, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    told(layerprobe("verify", folder, "--runner", "onnx-cpu"), name, "not a regular file")


LOOPS = (
    (("run", "{art}", "{photo}", "-o", "{loop}"), "Too many levels of symbolic links"),
    (("run", "{art}", "{photo}", "-o", "{loop}/o"), "Too many levels of symbolic links"),
    (("grid", "{art}", "{photo}", "-o", "{loop}.png"), "Too many levels of symbolic links"),
    (("verify", "{art}", "--html", "{loop}"), "Too many levels of symbolic links"),
    (("verify", "{art}", "--baseline", "{loop}"), "Too many levels of symbolic links"),
    (("run", "{art}", "{loop}", "-o", "{out}/o"), "is a link to"),
    (("run", "{loop}", "{photo}", "-o", "{out}/o"), "Too many levels of symbolic links"),
    (("nodes", "{loop}.onnx"), "Too many levels of symbolic links"),
    (("compare", "{loop}", "{loop}"), "Too many levels of symbolic links"),
    (("stats", "{loop}"), "is a link to"),
    (("run", "{art}", "{photo}", "-o", "{out}/" + "n" * 300), "name too long"),
)


@pytest.mark.parametrize(("arguments", "said"), LOOPS)
def test_a_loop_of_links_is_told(
    folder: Path, photo: Path, tmp_path: Path, layerprobe: Layerprobe, arguments: Sequence[str], said: str
) -> None:
    for name in ("loop", "loop.png", "loop.onnx"):
        (tmp_path / name).symlink_to(tmp_path / name)
    filled = [text.format(art=folder, loop=tmp_path / "loop", out=tmp_path, photo=photo) for text in arguments]
    outcome = layerprobe(*filled)
    assert outcome.code == 3, outcome
    assert said.casefold() in outcome.err.casefold()


def test_names_that_are_not_utf8_are_read_and_written(
    exported: Callable[[str], Artifact], photo: Path, tmp_path: Path, layerprobe: Layerprobe
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    home = tmp_path / odd
    home.mkdir()
    folder = copy_of(exported("cnn2").path, home / "art")
    picture = home / f"{odd}.jpg"
    picture.symlink_to(photo)
    run = home / "run.safetensors"
    assert layerprobe("run", folder, picture, "-o", run, "--outputs", "relu").code == 0
    assert layerprobe("compare", run, run, "--json", home / "r.json", "--html", home / "r.html").code == 0
    verified = layerprobe(
        *("verify", folder, "--runner", "onnx-cpu", "--runner", "torchscript"),
        *("--json", home / "r.json", "--junit", home / "r.xml"),
    )
    assert (verified.code, verified.out[:9]) == (0, "All pass.")
    assert layerprobe("verify", folder, "--runner", "onnx-cpu", "--baseline", home / "r.json").code == 0
    (folder / "model.torchscript.pt").unlink()
    assert layerprobe("verify", folder, "--runner", "torchscript", "--json", home / "r.json").code == 3
    with pytest.raises(ExportError, match="onnx takes no path that isn't UTF-8"):
        export_artifact(build_probe(nn.ReLU(), torch.zeros(1, 3, 8, 8)), home / "new")


def test_an_archive_that_unpacks_to_more_than_the_memory_is_refused(
    folder: Path, tmp_path: Path, layerprobe: Layerprobe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.runs.input_files.free_bytes", lambda: 10**6)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((1, 3, 1000, 1000), np.float32))
    assert (tmp_path / "bomb.npz").stat().st_size < 50_000
    told(layerprobe("run", folder, tmp_path / "bomb.npz", "-o", tmp_path / "o"), "unpacked it has 12 MB; 1 MB are free")


def test_an_array_that_is_said_to_be_huge_is_refused(folder: Path, tmp_path: Path, layerprobe: Layerprobe) -> None:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 3, 64, 64)})
    (tmp_path / "huge.npy").write_bytes(content.getvalue() + bytes(64))
    told(layerprobe("run", folder, tmp_path / "huge.npy", "-o", tmp_path / "o"))


def test_a_manifest_that_unpacks_without_end_is_refused(folder: Path, layerprobe: Layerprobe) -> None:
    """The copy in a TorchScript file is read as an entry of a zip archive, and nothing of it runs."""
    file = folder / "model.torchscript.pt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/extra/manifest.json", bytes(2**25))
    assert file.stat().st_size < 50_000
    rehash(folder, file.name)
    told(
        layerprobe("run", folder, "--recorded-input", "--runner", "torchscript", "-o", folder / "../o"), "far too large"
    )


@pytest.mark.parametrize("damage", [lambda content: content[:-10], lambda content: content.replace(b"PK", b"PX", 1)])
def test_a_damaged_archive_is_told(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    lone = folder.parent / "lone.pt"
    lone.write_bytes(damage((folder / "model.torchscript.pt").read_bytes()))
    with pytest.raises(Exception, match="can't be loaded as TorchScript"):
        read_embedded_manifest(lone)


def test_a_header_that_is_said_to_be_endless_is_refused(folder: Path, tmp_path: Path, layerprobe: Layerprobe) -> None:
    file = tmp_path / "f.safetensors"
    file.write_bytes((2**31).to_bytes(8, "little") + b"{")
    told(layerprobe("compare", file, file), "header")
    told(layerprobe("verify", folder, "--tensors", file), "header")
    (folder / "reference.safetensors").write_bytes(file.read_bytes())
    rehash(folder, "reference.safetensors")
    told(layerprobe("verify", folder, "--runner", "onnx-cpu"), "header")


@pytest.mark.parametrize("name", ["model.onnx", "reference.safetensors"])
def test_a_hole_of_terabytes_is_not_read(folder: Path, layerprobe: Layerprobe, name: str) -> None:
    """Its hash would take an hour."""
    with (folder / name).open("r+b") as stream:
        stream.truncate(2**42)
    told(layerprobe("verify", folder, "--runner", "onnx-cpu"), name, "has 4,398,047 MB; ", "of memory are free")


def test_postscript_is_not_run_as_a_photo(tmp_path: Path) -> None:
    """Pillow hands it to Ghostscript."""
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(ImageError, match="not an image that Pillow can read"):
        read_image(file)


@pytest.mark.parametrize("value", [1e301, -1e301, np.inf, np.nan])
def test_a_truth_of_any_size_can_be_drawn(folder: Path, tmp_path: Path, layerprobe: Layerprobe, value: float) -> None:
    file = folder / "reference.safetensors"
    with safe_open(file, framework="np") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    tensors["0/truth:cnn2"][:] = value
    file.write_bytes(save(tensors, metadata=metadata))
    rehash(folder, file.name)
    outcome = layerprobe("verify", folder, "--runner", "onnx-cpu", "--html", tmp_path / "r.html", "-q")
    assert (outcome.code, outcome.err) == (1, ""), outcome


TENSORS: dict[str, Callable[[Any], Any]] = {
    "no image": lambda tensor: tensor[:0],
    "flat": lambda tensor: tensor.reshape(-1),
    "a scalar": lambda _: np.float64(3).reshape(()),
    "beyond float32": lambda tensor: tensor.astype(np.float64) * 1e300,
}


@pytest.mark.parametrize("change", TENSORS.values(), ids=TENSORS.keys())
def test_tensors_of_any_shape_and_value_are_judged(
    folder: Path, tmp_path: Path, layerprobe: Layerprobe, change: Callable[[Any], Any]
) -> None:
    run, other = tmp_path / "run.safetensors", tmp_path / "other.safetensors"
    assert layerprobe("run", folder, "--recorded-input", "-o", run).code == 0
    with safe_open(run, framework="np") as opened:
        metadata = opened.metadata()
    tensors = load_file(run)
    other.write_bytes(save({**tensors, "cnn1": np.ascontiguousarray(change(tensors["cnn1"]))}, metadata=metadata))
    judged = layerprobe("verify", folder, "--tensors", other, "--runner", "onnx-cpu", "-q")
    assert (judged.code in (0, 1), judged.err) == (True, ""), judged
    compared = layerprobe("compare", other, run, "--html", tmp_path / "r.html")
    assert (compared.code, compared.err) == (1, ""), compared


def test_nothing_in_a_file_reaches_the_terminal_as_a_command(
    folder: Path, tmp_path: Path, photo: Path, layerprobe: Layerprobe
) -> None:
    """An OSC sequence would swallow what follows, and a line break forge a verdict."""
    hostile = "evil\x1b]0;x\x07\x9b31m\u202e\u2028\n\nAll pass.\r"

    def change(manifest: Any) -> None:
        manifest.update(model=hostile, constants={hostile: hostile}, results={hostile: "relu"}, capture_reason=hostile)
        manifest["left_out"] = {"model.pt2": hostile}
        for output in manifest["outputs"]:
            output.update(label=hostile, source_file=hostile, operation=hostile, module_path=hostile)

    alter_everywhere(folder, change)
    (folder / hostile).symlink_to(photo)
    for arguments in (
        ("verify", folder, "--runner", "onnx-cpu", "--runner", "torch-export", "--all"),
        ("run", folder, folder / hostile, "-o", tmp_path / hostile),
        ("run", folder, tmp_path / "none" / hostile, "-o", tmp_path / "o"),
        ("compare", tmp_path / hostile, tmp_path / hostile),
        ("run", folder, photo, "-o", tmp_path / "o", "--op", "none"),
    ):
        outcome = layerprobe(*arguments)
        assert outcome.code != 70
        for text in (outcome.out, outcome.err):
            assert not set(text).intersection("\x1b\x07\x9b\u202e\u2028\r"), text
    table = layerprobe("verify", folder, "--runner", "onnx-cpu", "-q").out
    assert "\nAll pass." not in table


class _Named(nn.Module):
    """A model whose author named a part of it, and what it returns, as nobody does."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"a\x1b]0;x\nb": nn.ReLU(), "a\x1b]0;x\rb": nn.ReLU()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        for part in self.parts.values():
            x = part(x)
        return {"k\n\x1b": x}


def test_modules_with_control_characters_in_their_names_are_outputs_with_plain_ones() -> None:
    probe = build_probe(_Named(), torch.zeros(1, 3, 8, 8))
    assert [output.name for output in probe.outputs] == ["parts.a?]0;x?b", "parts.a?]0;x?b_1"]
    lines = list(node_tree(probe.outputs, {}, None, probe.results))
    assert not set("".join(lines)).intersection("\x1b\n\r")
    assert lines[-1].endswith("k??")
