"""`layerprobe scan`: against a plain loop in NumPy; stopped and gone on with; broken, added and classified images."""

import json
import os
import shutil
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import Preprocessing, open_artifact, open_runner
from runtime.artifact.errors import OutputError, how_to_install
from runtime.artifact.file_replacement import replace_file
from runtime.artifact.unfinished import unfinished
from runtime.runs.preprocessing import preprocess_files
from runtime.scan import scanning, tables
from runtime.scan.channel_histogram import ChannelHistograms
from runtime.scan.packed_histograms import PackedHistograms
from runtime.scan.partial_statistics import PartialStatistics
from runtime.scan.scanning import Choices, scan
from runtime.scan.value_histogram import BINS, QUANTILES

BATCH, SHARD = 8, 16
CHOICES = Choices(batch=BATCH, shard=SHARD)


class Odd(nn.Module):
    """What a layer may be: dead, saturated, NaN for some images; with its channels last, or in rows for each image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.clamp = nn.ReLU6()
        with torch.no_grad():
            self.conv.weight[0], self.conv.bias[0] = 0, 0
            self.conv.weight[1], self.conv.bias[1] = 0, 9

    def forward(self, x):
        found = self.clamp(self.conv(x))
        last = found.permute(0, 2, 3, 1)
        root = (x.mean((2, 3)) - 0.1).sqrt()
        return last.flatten(1).sum(1), root, last.reshape(-1, 5, 4)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    steps = Preprocessing(resize=12, crop=(12, 12), mean=[0.5] * 3, std=[0.5] * 3)
    probe = build_probe(Odd().eval(), torch.randn(2, 3, 12, 12))
    return open_artifact(export_artifact(probe, tmp_path_factory.mktemp("odd") / "a", preprocessing=steps))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """60 images of two classes, of several sizes."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(60):
        of_class = folder / ("cat" if number % 3 else "dog")
        of_class.mkdir(exist_ok=True)
        pixels = random.integers(0, 256, (6, 6, 3)).astype(np.uint8)
        size = tuple(int(side) for side in random.integers(70, 120, 2))
        Image.fromarray(pixels).resize(size).save(of_class / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def scanned(exported, photos, tmp_path_factory):
    """An unbroken scan of cnn2."""
    target = tmp_path_factory.mktemp("scanned") / "s"
    result = scan(exported("cnn2"), open_runner(exported("cnn2"), "onnx-cpu"), photos, target, CHOICES)
    return target, result


def by_the_loop(artifact, folder, shard=SHARD, batch=BATCH):
    """Return each output over all images, N first, computed by nothing of the scan's."""
    files = sorted(folder.rglob("*.png"))
    runner, (_, steps) = open_runner(artifact, "onnx-cpu"), artifact.manifest.image_input()
    parts = []
    for first in range(0, len(files), shard):
        for begin in range(first, min(first + shard, len(files)), batch):
            given = preprocess_files(files[begin : min(begin + batch, first + shard)], steps)
            parts.append(runner.run({artifact.manifest.inputs[0].name: given}))
    return files, {name: np.concatenate([part[name] for part in parts]) for name in artifact.manifest.output_names}


def content_of(target: Path) -> dict[str, bytes]:
    return {str(file.relative_to(target)): file.read_bytes() for file in sorted(target.rglob("*.parquet"))}


def test_every_number_is_that_of_a_plain_loop_in_float64(exported, photos, scanned):
    target, _ = scanned
    files, arrays = by_the_loop(exported("cnn2"), photos)
    channels = pq.read_table(target / "channels.parquet").to_pylist()
    outputs = {row["output"]: row for row in pq.read_table(target / "outputs.parquet").to_pylist()}
    assert list(outputs) == exported("cnn2").manifest.output_names
    rows = iter(channels)
    for name, array in arrays.items():
        wide = array.astype(np.float64)
        assert_same(outputs[name], wide.reshape(len(wide), -1), files, photos)
        for channel in range(array.shape[1]):
            row = next(rows)
            assert (row["output"], row["channel"]) == (name, channel)
            assert_same(row, wide[:, channel].reshape(len(wide), -1), files, photos)
            assert row["dead"] == (not wide[:, channel].any())
            assert_channel_quantiles(row, array[:, channel].reshape(len(array), -1), array.shape[1])
        assert_quantiles(outputs[name], array.reshape(-1))
    assert next(rows, None) is None


def assert_quantiles(row, values):
    """Where all elements are counted, the promise is that of the buckets; else also that of the sample."""
    exact = row["counted"] == values.size
    for share in QUANTILES if exact else (0.01, 0.5, 0.99):
        found = row[f"q{share:g}"]
        slack, width = 0 if exact else 0.01, abs(found) / 128 + 1e-30
        assert (values <= found + width).mean() >= share - slack - 1e-12
        assert (values < found - width).mean() <= share + slack + 1e-12


def assert_channel_quantiles(row, values, channels):
    """Hold them against the elements that are counted, K of each image, by the formula of the format."""
    size, most = values.shape[1], max(16, -(-4096 // channels))
    stretch = np.arange(most)
    places = (stretch + stretch * 0.6180339887498949 % 1) * (size / most) if size > most else np.arange(size)
    counted = np.sort(values[:, places.astype(int)].astype(np.float64).reshape(-1))
    assert row["counted"] == counted.size
    for share in QUANTILES:
        exact = counted[max(int(np.ceil(share * counted.size)), 1) - 1]
        assert abs(row[f"q{share:g}"] - exact) <= max(abs(exact) / 32, np.abs(counted).max() / 234)


def assert_same(row, values, files, folder):
    """Hold a row against N x K values."""
    mean, variance = values.mean(), values.var()
    assert row["count"] == values.size
    assert row["mean"] == pytest.approx(mean, rel=1e-12, abs=1e-12 * np.abs(values).max())
    assert row["variance"] == pytest.approx(variance, rel=1e-12)
    assert row["std"] == pytest.approx(values.std(), rel=1e-12)
    for side, extreme in (("min", values.min()), ("max", values.max())):
        assert row[side] == extreme
        assert row[f"at_{side}"] == (values == extreme).sum()
        first = files[int((values == extreme).any(axis=1).argmax())]
        assert row[f"{side}_image"] == first.relative_to(folder).as_posix()
    assert row["zeros"] == (values == 0).sum()
    assert row["nan"] == row["infinite"] == 0


def test_each_image_has_its_results_and_a_summary_of_each_output(exported, photos, scanned):
    target, result = scanned
    files, arrays = by_the_loop(exported("cnn2"), photos)
    name = exported("cnn2").manifest.result_names[0]
    images = pq.read_table(target / "images").to_pylist()
    assert [row["image"] for row in images] == [file.relative_to(photos).as_posix() for file in files]
    np.testing.assert_array_equal(np.array([row[f"result:{name}"] for row in images], np.float32), arrays[name])
    assert [row[f"top:{name}"] for row in images] == arrays[name].argmax(1).tolist()
    summaries = pq.read_table(target / "summaries").to_pylist()
    assert len(summaries) == len(files) * len(arrays)
    for row in summaries[:: len(summaries) // 50]:
        values = arrays[row["output"]][row["number"]].astype(np.float64)
        expected = [values.mean(), values.std(), values.min(), values.max(), (values == 0).sum()]
        assert [row[key] for key in ("mean", "std", "min", "max", "zeros")] == pytest.approx(expected, rel=1e-12)
    assert (result.images, result.broken, result.earlier) == (60, 0, 0)


def test_no_empty_folder_is_left(scanned):
    target, _ = scanned
    assert {each.name for each in target.iterdir() if each.is_dir()} == {"images", "partial", "summaries"}


def test_histograms_count_what_they_say(scanned):
    target, _ = scanned
    counted = {row["output"]: row["counted"] for row in pq.read_table(target / "outputs.parquet").to_pylist()}
    found, of_channels = dict.fromkeys(counted, 0), dict.fromkeys(counted, 0)
    for row in pq.read_table(target / "histograms.parquet").to_pylist():
        assert row["low"] < row["high"]
        found[row["output"]] += row["count"]
    assert found == counted
    channels = pq.read_table(target / "channels.parquet").to_pylist()
    rows = pq.read_table(target / "channel_histograms.parquet").to_pylist()
    for row, channel in zip(rows, channels, strict=True):
        assert [row[key] for key in ("output", "channel")] == [channel[key] for key in ("output", "channel")]
        assert sum(row["counts"]) == channel["counted"]
        assert len(row["edges"]) == len(row["counts"]) + 1
        assert row["edges"][0] <= channel["q0.0001"] <= channel["q0.9999"] <= max(row["edges"][-1], channel["min"])
        of_channels[row["output"]] += sum(row["counts"])
    assert of_channels == counted


def test_dead_saturated_and_nan_are_found_in_any_layout(odd, photos, tmp_path):
    result = scan(odd, open_runner(odd, "onnx-cpu"), photos, tmp_path / "s", CHOICES)
    files, arrays = by_the_loop(odd, photos)
    assert result.left_out == {}
    channels = pq.read_table(tmp_path / "s" / "channels.parquet").to_pylist()
    clamped = [row for row in channels if row["output"] == "clamp"]
    assert [row["dead"] for row in clamped] == [True, False, False, False]
    assert [row["saturated"] for row in clamped] == [False, True, False, False]
    assert [row["at_max"] for row in clamped][1] == clamped[1]["count"] == arrays["clamp"][:, 1].size
    for output in odd.manifest.outputs:
        axis = output.layout.find("C")
        rows, array = [row for row in channels if row["output"] == output.name], arrays[output.name].astype(np.float64)
        parts = np.moveaxis(array, axis, 0) if axis > 0 else array[None]
        assert len(rows) == len(parts)
        for row, part in zip(rows, parts, strict=True):
            assert row["nan"] == np.isnan(part).sum()
            assert row["count"] == np.isfinite(part).sum()
            assert row["mean"] == pytest.approx(part[np.isfinite(part)].mean(), rel=1e-12, abs=1e-12)
            assert row["variance"] == pytest.approx(part[np.isfinite(part)].var(), rel=1e-12, abs=1e-20)
    assert any(row["nan"] for row in channels)
    assert len(files) == result.images


@pytest.mark.parametrize("stops", [("images", 0), ("summaries", 2), ("partial", 1), ("outputs.parquet", 0)])
def test_stopped_at_any_write_and_run_again_it_gives_the_same_bytes(
    exported, photos, scanned, tmp_path, monkeypatch, stops
):
    target, (place, after) = tmp_path / "s", stops

    class Stopped(BaseException):
        pass

    def stopping(write):
        count = 0

        def written(file, mark):
            nonlocal count
            if place in (file.name, file.parent.name):
                count += 1
                if count > after:
                    raise Stopped
            return write(file, mark)

        return written

    with monkeypatch.context() as patch:
        for module in (tables, sys.modules["runtime.scan.merge_tree"]):
            patch.setattr(module, "replace_file", stopping(module.replace_file))
        with pytest.raises(Stopped):
            scan(exported("cnn2"), open_runner(exported("cnn2"), "onnx-cpu"), photos, target, CHOICES)
    again = scan(exported("cnn2"), open_runner(exported("cnn2"), "onnx-cpu"), photos, target, CHOICES)
    assert again.earlier == (60 if place == "outputs.parquet" else SHARD * after)
    assert content_of(target) == content_of(scanned[0])


@pytest.mark.parametrize("cores", [1, 5])
def test_any_number_of_workers_gives_the_same_bytes(exported, photos, scanned, tmp_path, monkeypatch, cores):
    monkeypatch.setattr("runtime.scan.pipeline.usable_cores", lambda: cores)
    scan(exported("cnn2"), open_runner(exported("cnn2"), "onnx-cpu"), photos, tmp_path / "s", CHOICES)
    assert content_of(tmp_path / "s") == content_of(scanned[0])


def test_pandas_opens_each_channels_quantiles_and_histogram(scanned):
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    channels = pandas.read_parquet(scanned[0] / "channels.parquet")
    assert (channels["q0.01"] <= channels["q0.99"]).all()
    row = pandas.read_parquet(scanned[0] / "channel_histograms.parquet").iloc[5]
    assert row["counts"].sum() == channels.iloc[5]["counted"]
    assert len(row["edges"]) == len(row["counts"]) + 1


def test_killed_it_goes_on_and_gives_the_same_bytes(exported, photos, scanned, tmp_path):
    # Until the first shard is whole: a signal at a moment that its own output shows, and no clock.
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from runtime import open_artifact, open_runner; from runtime.scan.scanning import Choices, scan\n"
        "artifact = open_artifact(sys.argv[1])\n"
        "def kill(done, of_all):\n    if done >= 24: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"scan(artifact, open_runner(artifact, 'onnx-cpu'), Path(sys.argv[2]), Path(sys.argv[3]), "
        f"Choices(batch={BATCH}, shard={SHARD}), on_progress=kill)"
    )
    target = tmp_path / "s"
    command = [sys.executable, "-c", code, exported("cnn2").path, photos, target]
    ended = subprocess.run(command, check=False, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert not (target / "outputs.parquet").exists()
    again = scan(exported("cnn2"), open_runner(exported("cnn2"), "onnx-cpu"), photos, target, CHOICES)
    assert again.earlier == SHARD
    assert content_of(target) == content_of(scanned[0])
    assert not list(target.rglob(".layerprobe-*"))


def test_killed_before_its_record_is_written_it_begins_anew(odd, photos, tmp_path, layerprobe):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".lock").touch()
    with unfinished(tmp_path / "s", folder=False) as left:
        left.rename(kept := tmp_path / "kept")
    kept.rename(left)
    assert layerprobe("scan", odd.path, photos, "-o", tmp_path / "s", "--limit", 3).code == 0
    assert not left.exists()


def test_a_full_disk_ends_it_in_two_lines_and_what_is_written_is_used(exported, photos, scanned, tmp_path, monkeypatch):
    target, write = tmp_path / "s", tables.replace_file

    def full(file, mark):
        if file.name == "part-0000002.parquet":
            raise OutputError(f"{file} can't be written: No space left on device.")
        return write(file, mark)

    monkeypatch.setattr(tables, "replace_file", full)
    with pytest.raises(OutputError, match=r"No space left on device\.\nWhat was written stays"):
        scan(exported("cnn2"), open_runner(exported("cnn2"), "onnx-cpu"), photos, target, CHOICES)
    assert len(pq.read_table(target / "images")) == 2 * SHARD
    monkeypatch.undo()
    scan(exported("cnn2"), open_runner(exported("cnn2"), "onnx-cpu"), photos, target, CHOICES)
    assert content_of(target) == content_of(scanned[0])


def test_added_images_are_taken_and_limits_can_be_raised(odd, photos, tmp_path, layerprobe):
    folder = shutil.copytree(photos, tmp_path / "photos")
    command = ("scan", odd.path, folder, "-o", tmp_path / "s", "--shard", 16, "--provider", "cpu")
    assert layerprobe(*command, "--limit", 20).out.startswith(f"{tmp_path}/s/report.html: outputs: ")
    shutil.copy(folder / "cat" / "01.png", folder / "cat" / "00new.png")
    outcome = layerprobe(*command)
    assert (outcome.code, "images: 61, " in outcome.out) == (0, True)
    assert outcome.err == "images that an earlier scan had done: 20\n"
    assert layerprobe(*command).err == "images that an earlier scan had done: 61\n"


def test_a_limit_counts_what_an_earlier_scan_has_and_is_refused_where_that_has_more(odd, photos, tmp_path, layerprobe):
    folder = shutil.copytree(photos, tmp_path / "photos")
    command = ("scan", odd.path, folder, "-o", tmp_path / "s", "--provider", "cpu")
    assert layerprobe(*command, "--limit", 5).code == 0
    shutil.copy(folder / "cat" / "01.png", folder / "cat" / "00new.png")
    assert "images: 5, " in layerprobe(*command, "--limit", 5).out
    assert "images: 7, " in layerprobe(*command, "--limit", 7).out
    assert (tmp_path / "s" / "images.jsonl").read_text().count("00new.png") == 1
    refused = layerprobe(*command, "--limit", 3)
    assert (refused.code, refused.out) == (2, "")
    assert f"{tmp_path}/s holds a scan of 7 images, of which --limit 3 can take none out.\n" in refused.err


def test_classes_are_split_and_add_up(odd, photos, tmp_path, layerprobe):
    assert layerprobe("scan", odd.path, photos, "-o", tmp_path / "s", "--classes", "--shard", 7).code == 0
    rows = pq.read_table(tmp_path / "s" / "outputs.parquet").to_pylist()
    counts = {(row["class"], row["output"]): row["count"] + row["nan"] for row in rows}
    names = odd.manifest.output_names
    assert {of_class for of_class, _ in counts} == {None, "cat", "dog"}
    assert all(counts[None, name] == counts["cat", name] + counts["dog", name] for name in names)
    assert counts["cat", names[0]] == 2 * counts["dog", names[0]]


@pytest.mark.parametrize("classes", [False, True], ids=["of all", "by class"])
def test_what_is_held_at_once_grows_neither_with_the_images_nor_with_the_classes(
    odd, photos, tmp_path, monkeypatch, classes
):
    made, most, read = list[weakref.ref[PartialStatistics]](), list[int](), PartialStatistics.from_bytes

    def counted(*given):
        found = read(*given)
        made.append(weakref.ref(found))
        most.append(sum(each() is not None for each in made))
        return found

    monkeypatch.setattr(PartialStatistics, "from_bytes", counted)
    scan(odd, open_runner(odd, "onnx-cpu"), photos, tmp_path / "s", Choices(shard=1, sample=31, classes=classes))
    assert len(list((tmp_path / "s" / "partial").iterdir())) > 3
    assert max(most) <= 2


def test_a_sample_is_the_same_again_and_another_with_another_seed(odd, photos, tmp_path, layerprobe):
    def drawn(name, seed):
        command = ("scan", odd.path, photos, "-o", tmp_path / name, "--sample", 9, "--seed", seed)
        assert layerprobe(*command).code == 0
        return [row["image"] for row in pq.read_table(tmp_path / name / "images").to_pylist()]

    one, same, other = drawn("a", 0), drawn("b", 0), drawn("c", 1)
    assert len(one) == 9
    assert one == same != other


def test_kept_tensors_are_those_of_the_run(odd, photos, tmp_path, layerprobe):
    keep = ("--keep", "conv", "--keep", "clam*", "--keep-dtype", "float16", "--shard", SHARD, "--batch", BATCH)
    assert layerprobe("scan", odd.path, photos, "-o", tmp_path / "s", *keep).code == 0
    _, arrays = by_the_loop(odd, photos)
    index = pq.read_table(tmp_path / "s" / "tensors.parquet").to_pylist()
    assert len(index) == 60
    for row in index[::7]:
        held = load_file(tmp_path / "s" / "tensors" / row["file"])
        assert set(held) == {"conv", "clamp"}
        np.testing.assert_array_equal(held["conv"][row["place"]], arrays["conv"][row["number"]].astype(np.float16))


def test_kept_files_have_a_largest_size(odd, photos, tmp_path, monkeypatch):
    small = lambda *given: kept_tensors(*given, largest_bytes=20_000)  # noqa: E731
    kept_tensors = scanning.KeptTensors
    monkeypatch.setattr(scanning, "KeptTensors", small)
    choices = Choices(batch=BATCH, shard=32, keep=("conv",))
    scan(odd, open_runner(odd, "onnx-cpu"), photos, tmp_path / "s", choices)
    files = sorted((tmp_path / "s" / "tensors").iterdir())
    assert len(files) > 2
    assert all(file.stat().st_size < 21_000 for file in files)


def test_broken_images_are_listed_and_left_out(odd, photos, tmp_path, layerprobe):
    folder = shutil.copytree(photos, tmp_path / "photos")
    (folder / "cat" / "broken.png").write_bytes(b"no image\x1b[31m")
    outcome = layerprobe("scan", odd.path, folder, "-o", tmp_path / "s")
    assert outcome.code == 3
    assert outcome.err.splitlines()[-1] == (
        f"layerprobe: 1 of 61 images can't be read, and were left out; {tmp_path}/s/images/*.parquet lists them."
    )
    assert "cat/broken.png is not an image that Pillow can read" in outcome.err
    assert "\x1b" not in outcome.err
    broken = [row for row in pq.read_table(tmp_path / "s" / "images").to_pylist() if row["error"]]
    assert [row["image"] for row in broken] == ["cat/broken.png"]
    assert "cat/broken.png" in (tmp_path / "s" / "report.html").read_text()
    assert content_without_errors(tmp_path / "s") == 60


def test_a_broken_image_that_was_repaired_is_read_and_one_that_was_not_stays_listed(odd, photos, tmp_path, layerprobe):
    folder = shutil.copytree(photos, tmp_path / "photos")
    for name in ("05a.png", "59b.png"):
        (folder / "cat" / name).write_bytes(b"no image")
    command = ("scan", odd.path, folder, "-o", tmp_path / "s", "--shard", 16)
    assert layerprobe(*command).code == 3
    shutil.copy(folder / "cat" / "01.png", folder / "cat" / "05a.png")
    outcome = layerprobe(*command)
    assert (outcome.code, "images that an earlier scan had done: 61\n" in outcome.err) == (3, True)
    assert "1 of 62 images can't be read" in outcome.err
    rows = pq.read_table(tmp_path / "s" / "images").to_pylist()
    assert len(rows) == len({row["image"] for row in rows}) == 62
    assert [row["image"] for row in rows if row["error"]] == ["cat/59b.png"]
    mended = next(row for row in rows if row["image"] == "cat/05a.png")
    twin = next(row for row in rows if row["image"] == "cat/01.png")
    results = [name for name in mended if name.startswith("result:")]
    assert str([mended[name] for name in results]) == str([twin[name] for name in results])  # NaN equals NaN
    counted = next(row for row in pq.read_table(tmp_path / "s" / "outputs.parquet").to_pylist() if not row["nan"])
    assert counted["count"] % 61 == 0
    again = content_of(tmp_path / "s")
    assert layerprobe(*command).code == 3
    assert content_of(tmp_path / "s") == again


def test_repaired_images_stopped_at_any_write_give_the_same_bytes(exported, photos, tmp_path, monkeypatch):
    def started(name):
        folder, target = shutil.copytree(photos, tmp_path / name / "photos"), tmp_path / name / "s"
        for number in range(0, 60, 7):
            (folder / "dog" / f"{number:02}broken.png").write_bytes(b"no image")
        runner = open_runner(exported("cnn2"), "onnx-cpu")
        scan(exported("cnn2"), runner, folder, target, CHOICES)
        for file in folder.rglob("*broken.png"):
            shutil.copy(folder / "cat" / "01.png", file)
        return lambda: scan(exported("cnn2"), runner, folder, target, CHOICES), target

    whole, expected = started("unbroken")
    whole()
    for place in ("images.jsonl", "part-0000003.parquet", "part-0000005.parquet", "00000-01-0000002.safetensors"):
        again, target = started(place)
        with monkeypatch.context() as patch:
            for module in ("tables", "merge_tree", "image_list"):
                patch.setattr(f"runtime.scan.{module}.replace_file", stopping_at(place))
            with pytest.raises(KeyboardInterrupt):
                again()
        again()
        assert content_of(target) == content_of(expected), place


def stopping_at(name):
    def written(file, mark):
        if file.name == name:
            raise KeyboardInterrupt
        return replace_file(file, mark)

    return written


def test_a_changed_image_that_was_counted_is_refused(odd, photos, tmp_path, layerprobe):
    folder = shutil.copytree(photos, tmp_path / "photos")
    command = ("scan", odd.path, folder, "-o", tmp_path / "s", "--shard", 16)
    assert layerprobe(*command, "--limit", 20).code == 0
    shutil.copyfile(folder / "cat" / "02.png", folder / "cat" / "59.png")  # which waits
    shutil.copyfile(folder / "cat" / "02.png", folder / "cat" / "01.png")
    changed = layerprobe(*command)
    assert changed.code == 3
    assert changed.err == (
        "layerprobe: cat/01.png has changed since the scan counted what was there, which can't be taken out of the "
        "sums.\nPut it back as it was, or scan into another folder with -o.\n"
    )
    shutil.copy2(photos / "cat" / "01.png", folder / "cat" / "01.png")
    assert layerprobe(*command).code == 0


def links_out(scanned, home):
    (scanned / "images").rename(home / "images")
    (scanned / "images").symlink_to(home / "images")


def links_a_file(scanned, home):
    (home / "page.html").write_text("layerprobe scan: my thesis")
    (scanned / "report.html").unlink()
    (scanned / "report.html").symlink_to(home / "page.html")


def rewritten(change):
    def damage(scanned, _home):
        part = next((scanned / "partial").iterdir())
        header = json.loads(part.read_bytes()[8 : 8 + int.from_bytes(part.read_bytes()[:8], "little")])
        arrays = load_file(part)
        arrays.update(change(arrays))
        save_file(arrays, part, header["__metadata__"])

    return damage


def tables_of(arrays, count):
    """Return tables, of 8 bytes a count, in which all buckets but one have this count."""
    channels = len(arrays["tops"])
    tables = np.full((channels, BINS), count, np.int64)
    tables[:, 1] = 2**40
    return PackedHistograms.of(ChannelHistograms(arrays["tops"], tables)).arrays()


def renamed_part(name):
    return lambda scanned, _home: next((scanned / "partial").iterdir()).rename(scanned / "partial" / name)


def listed(**changes):
    def damage(scanned, _home):
        file = scanned / "images.jsonl"
        first, *lines = file.read_text().splitlines()
        file.write_text("\n".join([first, *(json.dumps(json.loads(line) | changes) for line in lines)]) + "\n")

    return damage


def overwritten(folder):
    return lambda scanned, _home: next((scanned / folder).iterdir()).write_bytes(b"PAR1 was here")


def a_pipe(name):
    def damage(scanned, _home):
        (scanned / name).unlink()
        os.mkfifo(scanned / name)

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (links_out, "is a link"),
        (links_a_file, "is a link"),
        (rewritten(lambda arrays: {"low_image": arrays["low_image"] + 10**6}), "speak of image"),
        (rewritten(lambda arrays: {"count": arrays["count"] - 2**40}), "its count are no counts"),
        (rewritten(lambda arrays: {"mean": arrays["mean"].astype(np.float16)}), "of other outputs"),
        (rewritten(lambda arrays: {"places": arrays["places"] + 2**60}), "is damaged"),
        (rewritten(lambda arrays: {"counts": -arrays["counts"]}), "it has no counts"),
        (rewritten(lambda arrays: {"tops": arrays["tops"][1:]}), "it is of other outputs"),
        (rewritten(lambda arrays: {"tops": arrays["tops"] + 4080}), "its tops are no magnitudes"),
        (rewritten(lambda arrays: {"tables": arrays["tables"].astype(np.float32)}), "its tables are no counts"),
        (rewritten(lambda arrays: {"tables": arrays["tables"][:-1]}), "its tables are no counts"),
        (rewritten(lambda arrays: {"tables": arrays["tables"][::-1].copy()}), "is damaged"),
        (rewritten(lambda arrays: {"table_widths": 2 * arrays["table_widths"]}), "is damaged"),
        (rewritten(lambda arrays: {"table_widths": arrays["table_widths"] + 1}), "its tables are no counts"),
        (rewritten(lambda arrays: tables_of(arrays, -1)), "its tables are no counts"),
        (rewritten(lambda arrays: tables_of(arrays, 2**53)), "its tables are no counts"),
        (rewritten(lambda arrays: {"places": arrays["places"][::-1].copy()}), "it is of other outputs"),
        (renamed_part("00000-99-9999999.safetensors"), "the list has"),
        (renamed_part("00000-40-0000000.safetensors"), "the list has"),
        (listed(images=["../../../etc/passwd"], states=[1]), "outside of the folder"),
        (listed(images=["a\0b"], states=[1]), "outside of the folder"),
        (listed(images="ab", states=[1, 2]), "lists no images"),
        (listed(states=[1e400]), "other states"),
        (listed(states=[10**30]), "other states"),
        (listed(images=7), "lists no images"),
        (overwritten("images"), "images/part-0000000.parquet is damaged: it is no Parquet file"),
        (overwritten("summaries"), "summaries/part-0000000.parquet is damaged: it is no Parquet file"),
        (lambda scanned, _home: next((scanned / "images").iterdir()).unlink(), "is damaged: No such file or directory"),
        (a_pipe("images.jsonl"), "not a regular file"),
        (a_pipe("scan.json"), "not a regular file"),
    ],
)
def test_a_strangers_scan_is_refused_in_two_lines_and_leads_nowhere(odd, photos, tmp_path, layerprobe, damage, said):
    command = ("scan", odd.path, photos, "-o", tmp_path / "s", "--limit", 8)
    assert layerprobe(*command).code == 0
    (tmp_path / "home").mkdir()
    damage(tmp_path / "s", tmp_path / "home")
    before = {file.name: file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file()}
    outcome = layerprobe(*command)
    assert (outcome.code, said in outcome.err) == (3, True), outcome.err
    assert len(outcome.err.splitlines()) == 2
    assert {file.name: file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file()} == before


def content_without_errors(target):
    return sum(row["error"] is None for row in pq.read_table(target / "images").to_pylist())


def test_arrays_are_scanned_file_by_file(tmp_path, layerprobe):
    torch.manual_seed(0)
    probe = build_probe(nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), torch.randn(2, 4))
    artifact = export_artifact(probe, tmp_path / "a")
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number in range(5):
        np.save(folder / f"{number}.npy", np.full((number + 1, 4), number, np.float32))
    np.save(folder / "9.npy", np.zeros((2, 7), np.float32))
    outcome = layerprobe("scan", artifact, folder, "-o", tmp_path / "s")
    assert (outcome.code, "1 of 6 images can't be read" in outcome.err) == (3, True)
    rows = pq.read_table(tmp_path / "s" / "images").to_pylist()
    assert [(row["image"], row["row"]) for row in rows[:3]] == [("0.npy", 0), ("1.npy", 0), ("1.npy", 1)]
    assert pq.read_table(tmp_path / "s" / "outputs.parquet").to_pylist()[0]["count"] == 15 * 3


def test_another_scan_a_changed_artifact_and_a_foreign_folder_are_refused(odd, photos, tmp_path, layerprobe):
    copy = shutil.copytree(odd.path, tmp_path / "a")
    command = ("scan", copy, photos, "-o", tmp_path / "s")
    assert layerprobe(*command, "--limit", 5).code == 0
    other = layerprobe(*command, "--outputs", "conv")
    assert (other.code, "s was begun on 9 outputs, this one is on 1: it can't go on there.\n" in other.err) == (2, True)
    for options, said in (
        (("--batch", 2), "with --batch 16, this one is with --batch 2:"),
        (("--keep", "conv"), "without --keep, this one is with --keep conv:"),
        (("--keep", "*"), "without --keep, this one is with --keep conv --keep clamp --keep permute and 6 more:"),
        (("--sample", 3), "without --sample, this one is with --sample 3:"),
        (("--input-size", "12x12"), "without --input-size, this one is with --input-size 12x12:"),
        (("--classes",), "without --classes, this one is with --classes:"),
        (("--against", copy / "model.onnx"), f"without --against, this one is against {copy}/model.onnx:"),
        (("--threads", 3), "with threads 1, this one is with threads 3:"),
    ):
        refused = layerprobe(*command, *options)
        assert (refused.code, said in refused.err) == (2, True), refused.err
        assert len(refused.err.splitlines()) == 2
    for options in (("--seed", 2), ("--keep-dtype", "float16")):
        unused = layerprobe(*command, *options)
        assert (unused.code, "give both" in unused.err) == (2, True)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest, indent=3))
    changed = layerprobe(*command)
    assert (changed.code, "the artifact has changed since" in changed.err) == (3, True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused = layerprobe("scan", odd.path, photos, "-o", tmp_path / "mine")
    assert (refused.code, "is not empty, and holds no scan" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        (None, 3, "There is no folder"),
        ("elsewhere", 3, "p is a link to elsewhere, where nothing is.\nName a folder of images or arrays, a .tar,"),
        ({}, 3, "holds no images"),
        ({"shard.tar.gz": b"x"}, 3, "compressed tars are not read"),
        ({"a.png": b"", "b.png": b"x"}, 3, "None of 2 images can be read"),
    ],
)
def test_folders_without_an_image_that_can_be_read_end_in_two_lines(odd, tmp_path, layerprobe, files, code, said):
    if isinstance(files, str):
        (tmp_path / "p").symlink_to(files)
    elif files is not None:
        (tmp_path / "p").mkdir()
        for name, content in files.items():
            (tmp_path / "p" / name).write_bytes(content)
    outcome = layerprobe("scan", odd.path, tmp_path / "p", "-o", tmp_path / "s")
    assert (outcome.code, said in outcome.err) == (code, True)
    assert len(outcome.err.splitlines()) <= 2


def test_a_scan_that_fails_before_its_images_are_listed_leaves_its_folder_to_others(odd, photos, tmp_path, layerprobe):
    command = ("scan", odd.path, photos / "cat", "-o", tmp_path / "s", "--limit", 3)
    refused = layerprobe(*command, "--classes")
    assert (refused.code, "is in no class's folder" in refused.err) == (3, True)
    assert layerprobe(*command).code == 0
    assert "was begun without --classes" in layerprobe(*command, "--classes").err


@pytest.mark.parametrize("command", ["scan", "export", "page", "demo"])
def test_a_file_or_a_link_to_nothing_in_place_of_the_folder_is_said_to_be_that(
    odd, photos, tmp_path, layerprobe, command
):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "gone").symlink_to("elsewhere")
    given = {"scan": (odd.path, photos), "export": ("cnn2",), "page": (odd.path,), "demo": ()}[command]
    for place, said in (
        ("notes.txt", "notes.txt is a file, not a folder.\nChoose another path with -o.\n"),
        ("notes.txt/deeper", "notes.txt is a file, not a folder.\nChoose another path with -o.\n"),
        ("gone", "gone is a link to elsewhere, where nothing is.\nChoose another path with -o.\n"),
    ):
        refused = layerprobe(command, *given, "-o", tmp_path / place)
        assert (refused.code, refused.err) == (2, f"layerprobe: {tmp_path}/{said}")


def test_a_link_to_nothing_among_the_photos_is_said_to_be_one(odd, photos, tmp_path, layerprobe):
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "here.png").symlink_to(photos / "cat" / "01.png")
    (folder / "lost.png").symlink_to("moved.png")
    for command in (
        ("scan", odd.path, folder, "-o", tmp_path / "s"),
        ("run", odd.path, folder, "-o", tmp_path / "o.safetensors"),
        ("stats", folder),
    ):
        outcome = layerprobe(*command)
        assert (outcome.code, "lost.png is a link to moved.png, where nothing is." in outcome.err) == (3, True)
    (tmp_path / "lost.npy").symlink_to("moved.npy")
    for command in (
        ("run", odd.path, tmp_path / "lost.npy", "-o", tmp_path / "o.safetensors"),
        ("verify", odd.path, "--input", tmp_path / "lost.npy"),
        ("grid", odd.path, tmp_path / "lost.npy", "-o", tmp_path / "o.png"),
    ):
        refused = layerprobe(*command)
        assert (refused.code, "lost.npy is a link to moved.npy, where nothing is" in refused.err) == (3, True)


def test_a_damaged_partial_file_is_named(odd, photos, tmp_path, layerprobe):
    command = ("scan", odd.path, photos, "-o", tmp_path / "s")
    assert layerprobe(*command).code == 0
    part = next((tmp_path / "s" / "partial").iterdir())
    part.write_bytes(part.read_bytes()[:-100])
    outcome = layerprobe(*command)
    assert (outcome.code, f"{part} is damaged" in outcome.err) == (3, True)
    assert len(outcome.err.splitlines()) == 2


def test_without_pyarrow_it_says_how_to_install_it(odd, photos, tmp_path, layerprobe, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    outcome = layerprobe("scan", odd.path, photos, "-o", tmp_path / "s")
    assert outcome.code == 4
    said = "layerprobe: A scan is written as Parquet, but pyarrow can't be loaded."
    assert outcome.err.splitlines() == [said, how_to_install("scan")]
    assert not (tmp_path / "s").exists()
