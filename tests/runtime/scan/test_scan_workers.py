"""Shards that are computed elsewhere: the same bytes, whatever arrives first, or twice; and `--ray` without Ray."""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import Preprocessing, Settings, open_artifact
from runtime.artifact.errors import InputError, RunnerUnavailable, how_to_install
from runtime.scan.opening import Opening
from runtime.scan.scanning import Choices, scan
from runtime.scan.shard_worker import ShardWorker, artifact_files
from runtime.scan_against import opened_against

CHOICES = Choices(batch=4, shard=8, keep=("0",))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 5))
    steps = Preprocessing(resize=12, crop=(12, 12), mean=[0.5] * 3, std=[0.5] * 3)
    folder = tmp_path_factory.mktemp("small") / "a"
    probe = build_probe(model.eval(), torch.randn(2, 3, 12, 12))
    return open_artifact(export_artifact(probe, folder, preprocessing=steps))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """30 photos, of which one can't be read."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(30):
        Image.fromarray(random.integers(0, 256, (14, 16, 3)).astype(np.uint8)).save(folder / f"{number:02}.png")
    (folder / "11.png").write_bytes(b"broken")
    return folder


def content_of(target):
    return {str(f.relative_to(target)): f.read_bytes() for f in sorted(target.rglob("*")) if f.is_file()}


class TwoWorkers:
    """Two that know nothing of each other, in no order: what they are sent, and send back, is pickled."""

    def __init__(self, artifact, settings=None, against=None, compared=None):
        opening = Opening("onnx", "cpu", settings or Settings(), against=against)
        runtimes = against.split("=") if against and "=" in against else ["onnx"]
        sent = pickle.dumps((artifact_files(artifact, *runtimes), compared))
        self.workers = []
        for _ in range(2):
            files, other = pickle.loads(sent)
            self.workers.append(ShardWorker(files, opening, compared=other))
        self.shards = []

    def describe(self):
        return self.workers[0].describe()

    def compute(self, plan, source, shards):
        files = []
        for shard in shards:
            self.shards.append(shard.number)
            given = pickle.loads(pickle.dumps((plan, shard, source.part(shard.items))))
            files += self.workers[shard.number % 2].compute(*given)
        yield from files[::-1]
        yield from files[:3]  # of a worker that was lost after it had sent them


def test_shards_computed_elsewhere_give_the_same_bytes(small, photos, tmp_path):
    here = scan(small, Opening("onnx", "cpu", Settings()).open(small), photos, tmp_path / "here", CHOICES)
    workers, seen = TwoWorkers(small), []
    there = scan(
        small, workers.describe(), photos, tmp_path / "there", CHOICES, workers=workers,
        on_progress=lambda done, of_all: seen.append((done, of_all)),
    )  # fmt: skip
    assert (there.images, there.broken) == (here.images, here.broken) == (30, 1)
    assert seen[0] == (0, 30)
    assert seen[-1] == (30, 30)
    one, other = content_of(tmp_path / "here"), content_of(tmp_path / "there")
    assert list(one) == list(other)
    assert [name for name in one if one[name] != other[name]] == []
    assert any(name.startswith("tensors/part-") for name in one)


@pytest.mark.parametrize("kind", ["runners", "file", "weights"])
def test_what_is_compared_elsewhere_gives_the_same_bytes(small, photos, tmp_path, kind):
    against = {"runners": "onnx-cpu=torchscript", "file": str(tmp_path / "theirs.onnx"), "weights": str(tmp_path / "a")}
    (tmp_path / "theirs.onnx").write_bytes((small.path / "model.onnx").read_bytes())
    if kind == "weights":
        torch.manual_seed(1)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 5))
        export_artifact(build_probe(model.eval(), torch.randn(2, 3, 12, 12)), tmp_path / "a")
    opening = Opening("onnx", "cpu", Settings(threads=1), against=against[kind])
    with opened_against(small, against[kind], opening, lambda _phase: None) as pair:
        here = scan(small, pair.session, photos, tmp_path / "here", CHOICES, pair.other)
        workers = TwoWorkers(small, opening.settings, against[kind], pair.elsewhere())
        remote = workers.describe()
        other = replace(pair.other, facts_there=remote.other_facts)
        there = scan(small, remote, photos, tmp_path / "there", CHOICES, other, workers=workers)
    assert there.comparison.worst == here.comparison.worst
    one, another = content_of(tmp_path / "here"), content_of(tmp_path / "there")
    assert list(one) == list(another)
    assert [name for name in one if one[name] != another[name]] == []
    assert any(name.startswith("differences/part-") for name in one)


def test_a_scan_begun_here_goes_on_elsewhere(small, photos, tmp_path):
    limited = Choices(batch=4, shard=8, limit=16)
    scan(small, Opening("onnx", "cpu", Settings()).open(small), photos, tmp_path / "s", limited)
    workers = TwoWorkers(small)
    found = scan(small, workers.describe(), photos, tmp_path / "s", Choices(batch=4, shard=8), workers=workers)
    assert (found.earlier, workers.shards) == (16, [2, 3])
    scan(small, Opening("onnx", "cpu", Settings()).open(small), photos, tmp_path / "whole", Choices(batch=4, shard=8))
    whole = content_of(tmp_path / "whole")
    assert {name for name, held in content_of(tmp_path / "s").items() if held != whole[name]} == set()


def test_a_worker_of_another_kind_is_refused_by_name(small, photos, tmp_path):
    workers = TwoWorkers(small)
    workers.workers[1] = TwoWorkers(small, Settings(threads=3)).workers[1]
    with pytest.raises(RunnerUnavailable, match=r"has threads 3, another machine .*\nScan on machines that are alike"):
        scan(small, workers.describe(), photos, tmp_path / "s", CHOICES, workers=workers)


def test_a_worker_gets_the_files_of_its_runner_and_leaves_nothing(small, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = artifact_files(small, "onnx")
    assert {"manifest.json", "model.onnx"} <= set(files)
    assert not {"model.torchscript.pt", "reference.safetensors"} & set(files)
    worker = ShardWorker(files, Opening("onnx", "cpu", Settings()))
    assert list(tmp_path.iterdir()) == []
    assert worker.describe().names == small.manifest.output_names
    assert set(artifact_files(small, "torchscript")) > {"manifest.json", "model.torchscript.pt"}
    lone = open_artifact(small.path / "model.onnx").file("model.onnx")
    copy = tmp_path / "lone.onnx"
    copy.write_bytes(lone.read_bytes())
    ShardWorker(artifact_files(open_artifact(copy), "onnx"), Opening("onnx", "cpu", Settings()))


def test_without_ray_it_says_how_to_install_it(small, photos, tmp_path, layerprobe, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    outcome = layerprobe("scan", small.path, photos, "-o", tmp_path / "s", "--ray", "auto")
    assert outcome.code == 4
    first, second = outcome.err.splitlines()
    assert first.startswith("layerprobe: --ray needs Ray, which can't be loaded")
    assert second == how_to_install("ray")
    assert not (tmp_path / "s").exists()


def test_a_folder_that_a_worker_does_not_have_is_named(small, photos, tmp_path):
    workers = TwoWorkers(small)

    class Elsewhere(TwoWorkers):
        def compute(self, plan, source, shards):
            photos.rename(tmp_path / "moved")
            try:
                yield from super().compute(plan, source, shards)
            finally:
                (tmp_path / "moved").rename(photos)

    workers.__class__ = Elsewhere
    with pytest.raises(InputError, match=r"There is no folder .* on .*\nName a folder that all machines share"):
        scan(small, workers.describe(), photos, tmp_path / "s", CHOICES, workers=workers)
