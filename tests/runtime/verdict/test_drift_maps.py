"""Drift maps: what differs from float64 shows at its place, and a page with many of them stays small."""

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from report_making import make_output, make_report, make_runner
from runtime.artifact.manifest import Output
from runtime.artifact.reference import Reference, Truth
from runtime.artifact.tensor_summary import sample
from runtime.float64.graph import Unknown
from runtime.reporting.html_page import html_page
from runtime.reporting.html_tiles import BUDGET_BYTES
from runtime.verdict.drift_maps import MAX_SIDE, AveragedMap, DriftMaps, OutputMaps, RunnerMaps, shrink


def _entry(name: str, layout: str = "NCHW") -> Output:
    return Output(
        name=name,
        label="Conv2d",
        operation="torch.nn.Conv2d",
        module_path=name,
        source_file=None,
        source_line=None,
        shape=["N", 8, 4, 4],
        dtype="float32",
        layout=layout,
        alias_of=None,
    )


class _Graph:
    """An ONNX file of which the values are known."""

    def __init__(self, values) -> None:
        self.values = values
        self.walks = 0

    def walk(self, inputs):
        assert inputs == {}
        self.walks += 1
        yield from self.values.items()


def _reference(**values) -> Reference:
    truths = {
        name: Truth(sample(value), value.shape, scale=float(np.abs(value).max()), noise_floor=1e-6, nonfinite=0)
        for name, value in values.items()
    }
    return Reference({}, truths)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_the_difference_lies_where_the_runner_is_off_and_does_not_cancel_out(random):
    truth = random.normal(size=(2, 8, 6, 6))
    unit = 1e-6 * np.abs(truth).max()
    wrong = truth.astype(np.float32)
    wrong[0, 0, 2, 3] += 80 * unit
    wrong[0, 1, 2, 3] -= 80 * unit
    maps = DriftMaps([_entry("conv"), _entry("fc", "NC")])
    graph = _Graph({})
    maps.add("onnx-cpu", graph, _reference(conv=truth, fc=truth), {"conv": wrong, "fc": wrong})
    (tile,) = maps.tiles
    assert (tile.output.name, tile.size, tile.kind) == ("conv", (8, 6, 6), "truth")
    np.testing.assert_allclose(tile.reference.values, truth[0].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(tile.runners["onnx-cpu"].candidate.values, truth[0].mean(axis=0), atol=1e-6)
    error = tile.runners["onnx-cpu"].error
    assert error.values.argmax() == 2 * 6 + 3
    assert error.range[1] == pytest.approx(20, rel=0.1)
    # A truth that is there whole needs no walk, and is not the file's word.
    assert graph.walks == 0


def test_an_output_too_large_to_be_kept_is_compared_with_the_file(random):
    truth = random.normal(size=(1, 8, 200, 300))
    maps = DriftMaps([_entry("conv"), _entry("lost")])
    graph = _Graph({"conv": truth, "lost": Unknown("no kernel")})
    arrays = {"conv": truth.astype(np.float32), "lost": truth.astype(np.float32)}
    maps.add("onnx-cpu", graph, _reference(conv=truth, lost=truth), arrays)
    known, lost = maps.tiles
    assert known.kind == "file"
    assert known.size == (8, 200, 300)
    assert known.reference.values.shape == (MAX_SIDE, MAX_SIDE)
    assert (lost.reference, lost.runners["onnx-cpu"].error) == (None, None)


def test_where_the_file_is_wrong_the_map_of_the_truth_shows_by_how_much(random):
    truth = random.normal(size=(1, 8, 200, 300))
    wrong = truth.copy()
    wrong[0, :, 100, 200] += 1
    reference = _reference(conv=truth)
    kept = dataclasses.replace(reference.truths["conv"], map=truth[0].mean(axis=0).astype(np.float32))
    maps = DriftMaps([_entry("conv")])
    arrays = {"conv": wrong.astype(np.float32)}
    graph = _Graph({"conv": wrong})
    maps.add("onnx-cpu", graph, Reference({}, {"conv": kept}), arrays, {"conv"})
    (tile,) = maps.tiles
    assert (tile.kind, graph.walks) == ("truth", 0)
    error = tile.runners["onnx-cpu"].error
    assert error.range[1] == pytest.approx(1 / (1e-6 * np.abs(truth).max()), rel=0.01)
    assert np.unravel_index(error.values.argmax(), error.values.shape) == (100 * MAX_SIDE // 200, 200 * MAX_SIDE // 300)


def test_what_is_missing_or_of_another_shape_has_no_map(random):
    truth = random.normal(size=(1, 8, 4, 4))
    maps = DriftMaps([_entry("a"), _entry("b")])
    maps.add("onnx-cpu", _Graph({}), _reference(a=truth, b=truth), {"a": truth[:, :, :3].astype(np.float32)})
    assert maps.tiles == []


def test_a_runner_that_is_judged_on_another_input_has_the_maps_of_that(random):
    noise, photo = random.normal(size=(2, 1, 8, 6, 6))
    maps = DriftMaps([_entry("a"), _entry("b")])
    first, other = _reference(a=noise, b=noise), dataclasses.replace(_reference(a=photo, b=photo), name="a photo")
    for runner in ("onnx-cpu", "openvino"):
        maps.add(runner, _Graph({}), first, {"a": noise.astype(np.float32), "b": noise.astype(np.float32)})
    maps.add("openvino", _Graph({}), other, {"a": photo.astype(np.float32), "b": photo.astype(np.float32)})
    assert [(tile.output.name, tile.recorded_input, list(tile.runners)) for tile in maps.tiles] == [
        ("a", "noise", ["onnx-cpu"]),
        ("a", "a photo", ["openvino"]),
        ("b", "noise", ["onnx-cpu"]),
        ("b", "a photo", ["openvino"]),
    ]


def test_a_small_map_keeps_the_mean_the_largest_error_and_a_nan():
    values = np.zeros((300, 5))
    values[150, 2] = 7
    assert shrink(values, 100, "largest").max() == 7
    assert shrink(values, 100).sum() == pytest.approx(7 / 3)
    values[10, 0] = np.nan
    assert np.isnan(shrink(values, 100, "largest")).sum() == 1
    assert shrink(np.ones((7, 9)), 4).shape == (4, 4)


def _maps(tiles: list[OutputMaps]) -> DriftMaps:
    maps = DriftMaps([tile.output for tile in tiles])
    maps._tiles = {(tile.output.name, tile.recorded_input): tile for tile in tiles}
    return maps


def _picture_of(page: str, number: int) -> Image.Image:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return Image.open(io.BytesIO(base64.b64decode(found[number]))).convert("RGB")


def test_the_runner_is_drawn_on_the_scale_of_float64_and_the_difference_on_its_own():
    reference = AveragedMap(np.array([[0.0, 1.0]], np.float32), (0.0, 1.0))
    candidate = AveragedMap(np.array([[0.0, 50.0]], np.float32), (0.0, 50.0))
    error = AveragedMap(np.array([[0.0, np.nan]], np.float32), (0.0, 0.0))
    tile = OutputMaps(_entry("conv"), (8, 1, 2), reference, "truth", {"onnx-cpu": RunnerMaps(candidate, error)})
    page = html_page(make_report(make_runner("onnx-cpu", [make_output("conv")]), names=["conv"]), _maps([tile]))
    float64, runner, difference = (_picture_of(page, number) for number in range(3))
    assert float64.tobytes() == runner.tobytes()
    assert max(difference.getpixel((0, 0))) < 8
    assert max(difference.getpixel((1, 0))) > 100
    assert "0 to 50" in page
    assert "up to 0 ×, and not finite" in page
    assert 'class="badge good"' in page
    assert page.count('loading="lazy"') == 3


def test_an_output_of_one_pixel_has_no_tile():
    pixel = AveragedMap(np.ones((1, 1), np.float32), (1.0, 1.0))
    tile = OutputMaps(_entry("pool"), (8, 1, 1), pixel, "truth", {"onnx-cpu": RunnerMaps(pixel, pixel)})
    page = html_page(make_report(make_runner("onnx-cpu", [make_output("pool")]), names=["pool"]), _maps([tile]))
    assert "<figure" not in page


def test_a_page_of_many_large_maps_stays_small(random):
    names = [f"layer{number}" for number in range(400)]
    noise = AveragedMap(random.normal(size=(128, 128)).astype(np.float32), (-4.0, 4.0))
    runners = ["onnx-cpu", "onnx-cuda", "torchscript"]
    tiles = [
        OutputMaps(_entry(name), (8, 128, 128), noise, "truth", dict.fromkeys(runners, RunnerMaps(noise, noise)))
        for name in names
    ]
    outputs = [make_output(name, introduced=1.0, inherited=1.0) for name in names]
    page = html_page(make_report(*(make_runner(name, outputs) for name in runners), names=names), _maps(tiles))
    assert len(page.encode()) < BUDGET_BYTES + 2_000_000
    assert page.count("<img") == 400 * 7
