"""Pooling and resizing that torch.onnx, or onnx.checker, takes for something else are right in the exported file."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from export import to_onnx
from export.artifact_writing import export_artifact
from probe import build_probe
from runtime import open_artifact, open_runner


class Net(nn.Module):
    """One operation on a convolution."""

    def __init__(self, operation) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 1)
        self.operation = operation

    def forward(self, x):
        return self.operation(self.conv(x))


def assert_right(folder, operation, size, *others, **options):
    """ONNX Runtime computes what PyTorch does, on the example and on images of other sizes."""
    model = Net(operation).eval()
    probe = build_probe(model, torch.randn(2, 3, *size), **options)
    artifact = open_artifact(export_artifact(probe, folder / "artifact"))
    runner = open_runner(artifact, "onnx-cpu")
    for each in (size, *others):
        x = torch.randn(2, 3, *each)
        with torch.no_grad():
            expected = model(x)
        result = torch.from_numpy(runner.run({"x": x.numpy()})[probe.results[""]])
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


WINDOWS = {
    "both axes": (lambda y: functional.avg_pool2d(y, 2, padding=1, ceil_mode=True), (7, 7)),
    "one axis": (lambda y: functional.avg_pool2d(y, 2, padding=1, ceil_mode=True), (7, 6)),
    "maxima": (lambda y: functional.max_pool2d(y, 2, padding=1, ceil_mode=True), (9, 7)),
    "gaps": (lambda y: functional.max_pool2d(y, 2, stride=3, padding=1, ceil_mode=True), (16, 13)),
    "every second pixel": (lambda y: functional.max_pool2d(y, 1, stride=2, ceil_mode=True), (16, 16)),
    "none": (lambda y: functional.max_pool2d(y, 3, stride=2, padding=1, ceil_mode=True), (16, 15)),
}


@pytest.mark.parametrize("case", WINDOWS)
def test_a_last_window_in_the_padding_is_dropped(tmp_path, case):
    assert_right(tmp_path, *WINDOWS[case])


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"padding": 1, "count_include_pad": False, "stride": 1}])
def test_a_divisor_of_the_models_own(tmp_path, options):
    assert_right(tmp_path, lambda y: functional.avg_pool2d(y, 2, divisor_override=3, **options), (8, 6))


@pytest.mark.parametrize(
    ("window", "options"), [(2, {}), (3, {"stride": 2, "padding": 1}), ((3, 2), {"stride": (2, 1)})]
)
def test_a_divisor_of_the_models_own_where_the_last_window_is_cut(tmp_path, window, options):
    def pooled(y):
        return functional.avg_pool2d(y, window, ceil_mode=True, divisor_override=3, **options)

    assert_right(tmp_path, pooled, (8, 6), (7, 5), (12, 9), (9, 12), dynamic_size=True)


def _halved(y):
    return functional.adaptive_avg_pool2d(y, (y.shape[2] // 2, y.shape[3] // 2))


ADAPTIVE = {
    "means": lambda y: functional.adaptive_avg_pool2d(y, (7, 7)),
    "means of each row": lambda y: functional.adaptive_avg_pool2d(y, (None, 5)),
    "half": _halved,
    "maxima": lambda y: functional.adaptive_max_pool2d(y, (7, 7)),
}


@pytest.mark.parametrize("case", ADAPTIVE)
def test_adaptive_pooling_of_open_sizes(tmp_path, case):
    assert_right(tmp_path, ADAPTIVE[case], (28, 35), (28, 42), (37, 89), (9, 30), dynamic_size=True)


def test_where_adaptive_maxima_come_from(tmp_path):
    def unpooled(y):
        values, indices = functional.adaptive_max_pool2d(y, (3, 4), return_indices=True)
        return torch.zeros_like(y).flatten(2).scatter(2, indices.flatten(2), values.flatten(2))

    assert_right(tmp_path, unpooled, (10, 9))


@pytest.mark.parametrize(("size", "wanted"), [((80, 80), (24, 24)), ((41, 80), (12, 24)), ((8, 8), (16, 16))])
def test_the_nearest_pixel_is_pytorchs(tmp_path, size, wanted):
    assert_right(tmp_path, lambda y: functional.interpolate(y, size=wanted), size)


@pytest.mark.parametrize("scale", [0.7, 1.3, 2.3, 2.6])
def test_odd_scales_of_nearest_resizing(tmp_path, scale):
    assert_right(tmp_path, nn.Upsample(scale_factor=scale), (13, 80))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_odd_scales_of_open_sizes(tmp_path, mode):
    assert_right(tmp_path, nn.Upsample(scale_factor=1.3, mode=mode), (40, 24), (80, 30), (33, 17), dynamic_size=True)


def test_a_resize_that_onnx_computes_alike_stays_a_resize():
    probe = build_probe(Net(nn.Upsample(scale_factor=2)).eval(), torch.randn(1, 3, 8, 8))
    assert "Resize" in [node.op_type for node in to_onnx(probe).graph]
