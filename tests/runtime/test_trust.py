"""A stranger's artifact: its data are read, its programs run only if they are asked for by name or trusted."""

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._export.serde.schema import SCHEMA_VERSION

from export import export_artifact
from probe import build_probe
from proofs.planted_faults import rehash
from runtime import RUNNERS, Preprocessing, benchmark, open_artifact, open_runner, verify
from runtime.artifact.errors import ArtifactError
from runtime.reporting.json_report import load_report

PROGRAMS = ["torchscript", "torchscript-cuda", "torch-export", "torch-export-cuda", "eager"]
UNTRUSTED = "it runs a program, and so only by its name (--runner) or with --trust"


class Writing(nn.Module):
    """As any TorchScript can, it writes a file of the user's; its outputs are as good as the real model's."""

    def __init__(self, model: nn.Module, victim: Path) -> None:
        super().__init__()
        self.model, self.victim = model, str(victim)

    def forward(self, x):
        written = torch.from_file(self.victim, True, 4, dtype=torch.uint8).fill_(33)
        return self.model(x + 0 * written.sum())


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    return tmp_path_factory.mktemp("home") / "victim"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    steps = Preprocessing(resize=8, crop=(8, 8), mean=[0.5] * 3, std=[0.5] * 3)
    probe = build_probe(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.zeros(1, 3, 8, 8))
    return export_artifact(probe, tmp_path_factory.mktemp("tiny") / "art", preprocessing=steps)


@pytest.fixture(scope="module")
def strangers(tiny, victim, tmp_path_factory):
    """An artifact whose TorchScript writes the victim as it runs."""
    folder = Path(shutil.copytree(tiny, tmp_path_factory.mktemp("strangers") / "art"))
    file = folder / "model.torchscript.pt"
    torch.jit.script(Writing(torch.jit.load(file), victim)).save(file)
    rehash(folder)
    return folder


@pytest.fixture
def unharmed(victim):
    victim.unlink(missing_ok=True)
    yield victim
    victim.unlink(missing_ok=True)


def test_the_table_says_which_runners_run_programs():
    assert [name for name, row in RUNNERS.items() if row.program] == PROGRAMS


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "{art}"),
        ("verify", "{art}", "--runner", "all"),
        ("verify", "{art}", "--runner", "onnx-cpu"),
        ("verify", "{art}/model.torchscript.pt"),
        ("verify", "{art}/model.onnx", "--against", "{art}"),
        ("bench", "{art}", "--repeats", "1"),
        ("run", "{art}", "--recorded-input", "-o", "{out}/t.safetensors"),
        ("grid", "{art}", "{photo}", "-o", "{out}/maps.png"),
    ],
    ids=" ".join,
)
def test_no_command_runs_a_strangers_program_by_itself(command, strangers, unharmed, photo, tmp_path, layerprobe):
    done = layerprobe(*(part.format(art=strangers, out=tmp_path, photo=photo) for part in command))
    assert done.code == 0, done.err
    assert not unharmed.exists()


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "{art}", "--runner", "torchscript"),
        ("verify", "{art}", "--trust"),
        ("bench", "{art}", "--repeats", "1", "--trust"),
        ("run", "{art}", "--recorded-input", "-o", "{out}/t.safetensors", "--runner", "torchscript"),
    ],
    ids=" ".join,
)
def test_a_program_runs_where_it_is_asked_for_by_name_or_trusted(command, strangers, unharmed, tmp_path, layerprobe):
    assert layerprobe(*(part.format(art=strangers, out=tmp_path) for part in command)).code == 0
    assert unharmed.read_bytes() == b"!!!!"


def test_the_first_line_and_the_reports_say_what_was_not_run(strangers, tmp_path, layerprobe):
    forms = [f"--{form}={tmp_path / form}" for form in ("json", "html", "junit")]
    done = layerprobe("verify", strangers, *forms)
    assert done.out.splitlines()[0].startswith("All pass. ")
    assert done.out.splitlines()[0].endswith(" Not run without --trust: torchscript, which runs a program.")
    assert UNTRUSTED not in done.err  # once is enough
    assert load_report(tmp_path / "json").left_out["torchscript"] == UNTRUSTED
    assert UNTRUSTED in (tmp_path / "html").read_text()
    assert f'<skipped message="{UNTRUSTED}"' in (tmp_path / "junit").read_text()
    everything = layerprobe("verify", strangers, "--runner", "all", "-q").out.splitlines()[0]
    assert " Not run without --trust: torchscript, torch-export, eager, which run programs." in everything
    assert "--trust" not in layerprobe("verify", strangers, "--trust").out
    assert f"torchscript is left out: {UNTRUSTED}" in layerprobe("bench", strangers, "--repeats", 1).err


def test_in_python_programs_run_by_name_or_with_trust(strangers, unharmed):
    assert [runner.name for runner in verify(strangers).runners] == ["onnx-float64", "onnx-cpu"]
    assert benchmark(strangers, repeats=1).left_out["torchscript"] == UNTRUSTED
    assert not unharmed.exists()
    assert "torchscript" in [runner.name for runner in verify(strangers, trust=True).runners]
    assert unharmed.exists()


def test_a_lone_program_needs_its_runners_name(tiny, tmp_path, layerprobe):
    lone = shutil.copy(tiny / "model.torchscript.pt", tmp_path / "lone.pt")
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 8, 8), np.float32))
    command = ("run", lone, tmp_path / "x.npy", "-o", tmp_path / "t.safetensors")
    refused = layerprobe(*command)
    assert (refused.code, "is a lone program, for --runner torchscript" in refused.err) == (4, True)
    assert layerprobe(*command, "--runner", "torchscript").code == 0
    refused = layerprobe("bench", lone, "--repeats", 1)
    assert refused.code == 4
    first, second = refused.err.splitlines()
    assert first.endswith("torchscript can run this model, but runs a program: add --runner torchscript, or --trust.")
    assert f"{lone} is a lone program, for --runner torchscript" in second
    refused = layerprobe("verify", lone, "--runner", "torchscript")
    assert refused.err == f"layerprobe: {lone} is a lone program: model.onnx is missing.\nGive the artifact's folder.\n"
    for asked in (("--runner", "torchscript"), ("--trust",)):
        assert "torchscript" in layerprobe("bench", lone, "--repeats", 1, *asked).out


def test_what_the_command_makes_of_the_users_own_model_runs_as_before(tmp_path, layerprobe):
    (tmp_path / "own.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(3, 4, 1)\n")
    done = layerprobe("verify", f"{tmp_path}/own.py:make", "--input-size", 8)
    assert done.code == 0, done.err
    assert "torchscript: all 1 outputs pass" in done.out


@pytest.mark.parametrize("options", [(), ("--trust",), ("--runner", "all")])
def test_options_of_the_live_model_want_its_runner(options, strangers, layerprobe):
    refused = layerprobe("verify", strangers, "--model", "cnn2", *options)
    assert (refused.code, "add --runner eager" in refused.err) == (2, True)


class _Bomb:
    """An object whose unpickling writes a file."""

    def __init__(self, victim: Path) -> None:
        self._victim = victim

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._victim,)


def _pickled(config: str) -> Callable[[dict[str, bytes], bytes], None]:
    def change(records: dict[str, bytes], bomb: bytes) -> None:
        held = json.loads(records[config])
        held["config"]["0.bias"] = {**next(iter(held["config"].values()), {}), "path_name": "tensor_0"}
        held["config"]["0.bias"] |= {"is_param": True, "use_pickle": True, "tensor_meta": None}
        records[config] = json.dumps(held).encode()
        records[f"{config.rpartition('/')[0]}/tensor_0"] = bomb

    return change


def _older(records: dict[str, bytes], bomb: bytes) -> None:
    del records["archive_format"]
    version = ".".join(map(str, SCHEMA_VERSION)).encode()
    records |= {"version": version, "serialized_exported_program.json": records["models/model.json"]}
    for name in ("state_dict", "constants", "example_inputs"):
        records[f"serialized_{name}.pt"] = bomb


PICKLES: Mapping[str, Callable[[dict[str, bytes], bytes], object]] = {
    "sample inputs": lambda records, bomb: records.update({"data/sample_inputs/model.pt": bomb}),
    "a weight": _pickled("data/weights/model_weights_config.json"),
    "a constant": _pickled("data/constants/model_constants_config.json"),
    "an object": lambda records, bomb: records.update({"data/constants/opaque_obj_0": bomb}),
    "weights of an earlier format": lambda records, bomb: records.update({"data/weights/model.pt": bomb}),
    "another model": lambda records, bomb: records.update({"models/other.json": records["models/model.json"]}),
    "compiled code": lambda records, bomb: records.update({"data/aotinductor/model/model.so": bomb}),
    "an earlier format": _older,
}


@pytest.mark.parametrize("kind", PICKLES)
def test_nothing_is_unpickled_from_a_torch_export_file(kind, tiny, unharmed, tmp_path, layerprobe):
    folder = Path(shutil.copytree(tiny, tmp_path / "art"))
    torch.save(_Bomb(unharmed), tmp_path / "bomb")
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        root = archive.namelist()[0].partition("/")[0]
        records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    PICKLES[kind](records, (tmp_path / "bomb").read_bytes())
    prefix = "" if "version" in records else f"{root}/"  # an earlier format has no root
    with zipfile.ZipFile(folder / "model.pt2", "w") as archive:
        for name, content in records.items():
            archive.writestr(f"{prefix}{name}", content)
    rehash(folder)
    refused = layerprobe("run", folder, "--recorded-input", "-o", tmp_path / "t.safetensors")
    assert refused.code == 0  # ONNX is as good as before
    refused = layerprobe("verify", folder, "--runner", "torch-export")
    assert (refused.code, refused.out) == (3, "")
    assert "model.pt2" in refused.err
    assert not unharmed.exists()


def test_the_bomb_is_one(unharmed, tmp_path):
    pickle.loads(pickle.dumps(_Bomb(unharmed)))
    assert unharmed.exists()


def test_a_weight_of_another_kind_is_refused_by_what_it_is(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "art"))
    with zipfile.ZipFile(folder / "model.pt2", "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/constants/custom_obj_0", b"")
    rehash(folder)
    with pytest.raises(ArtifactError, match=r"could run any code .*: data/constants/custom_obj_0\."):
        open_runner(open_artifact(folder), "torch-export")
