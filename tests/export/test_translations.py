"""Operators that torch.onnx translates wrongly, or that a conversion fixes at the traced sizes, in every format."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from export import export_artifact
from probe import build_probe
from runtime import open_artifact, open_runner, verify

IMAGE = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
RUNNERS = ("onnx-cpu", "torchscript", "torch-export")


def assert_right(model, folder, example, *others, **options):
    """Every runner computes what the probe does, on the example and on other inputs."""
    probe = build_probe(model.eval(), example, **options)
    artifact = open_artifact(export_artifact(probe, folder))
    for name in RUNNERS:
        runner = open_runner(artifact, name)
        for x in (example, *others):
            for output, array in runner.run({artifact.manifest.inputs[0].name: x.numpy()}).items():
                expected = probe(x)[output].detach()
                np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-4, err_msg=f"{name} {output}")
    return artifact


class HalfRoundedUp(nn.Module):
    """`-(-h // 2)` rounds up; ONNX's Div, which truncates, doesn't."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        x = self.conv(x)
        height, width = x.shape[-2:]
        return functional.interpolate(x, size=(-(-height // 2), (1 - width) // -2 + 1), mode="nearest")


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_floor_division_of_negative_sizes_is_right_at_odd_sizes(tmp_path, capture):
    others = [torch.randn(1, 3, *size) for size in ((33, 47), (47, 33), (32, 46), (31, 64), (29, 29))]
    assert_right(HalfRoundedUp(), tmp_path / "half", IMAGE, *others, dynamic_size=True, capture=capture)


class Volumes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Conv3d(3, 4, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False)
        self.grouped = nn.Conv3d(4, 4, 3, groups=4, dilation=2, padding=2, bias=False)
        self.same = nn.Conv3d(4, 4, 3, padding="same", bias=False)
        self.biased = nn.Conv3d(4, 4, 1)
        self.up = nn.ConvTranspose3d(4, 2, 2, stride=2, bias=False)

    def forward(self, x):
        return self.up(self.biased(self.same(self.grouped(self.strided(x)))))


def test_convolutions_of_volumes_need_no_bias(tmp_path):
    volume = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    artifact = assert_right(Volumes(), tmp_path / "volumes", volume, volume[:1])
    assert verify(artifact, trust=True).passed


class LogSigmoid(nn.Module):
    def forward(self, x):
        return functional.logsigmoid(x * 200)


def test_a_log_sigmoid_is_finite_for_large_scores_and_exact_for_small_ones(tmp_path):
    artifact = assert_right(LogSigmoid(), tmp_path / "scores", IMAGE, IMAGE[:1] * 10)
    x = torch.full((1, 3, 16, 16), 0.1)  # of 20, sigmoid is 1 in float32, and its logarithm not quite 0
    (result,) = (
        each for name, each in open_runner(artifact, "onnx-cpu").run({"x": x.numpy()}).items() if name != "mul"
    )
    np.testing.assert_allclose(result, functional.logsigmoid(x * 200), rtol=1e-5)
    assert verify(artifact, trust=True).passed


class NearZero(nn.Module):
    def forward(self, x):
        small = x * 1e-5
        return torch.log1p(small), torch.expm1(small), torch.log1p(x.abs() * 20), torch.expm1(x * 20)


def test_log1p_and_expm1_keep_their_digits_near_zero(tmp_path):
    artifact = assert_right(NearZero(), tmp_path / "small", IMAGE * 0.1)
    x = torch.cat([IMAGE[:1], torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), torch.inf)])
    given = open_runner(artifact, "onnx-cpu").run({"x": x.numpy()})
    for result, expected in zip(artifact.manifest.result_names, NearZero()(x), strict=True):
        np.testing.assert_allclose(given[result], expected, rtol=1e-6, err_msg=result)
    assert verify(artifact, trust=True).passed


class BroadcastWrites(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x).clone()
        plane = torch.ones_like(y[0, 0])
        y[:, 1] = plane * 2
        y[..., 0] = 5
        y[:, 2:, 1:3] = y[:, :2, 1:3]
        y[:, [0, 2]] = y[:1, :1].clone()
        y[:, 0, 0] = y[:1, 1:2, 1].clone()
        y[y > 1] = 0
        return y.relu()


def test_a_write_that_broadcasts_is_right_for_every_batch(tmp_path):
    others = [torch.randn(batch, 3, 16, 16) for batch in (1, 3, 5)]
    assert_right(BroadcastWrites(), tmp_path / "writes", IMAGE, *others)


class Normalises(nn.Module):
    """Its buffers have the names of operations that come later."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("mean", "std", "sum", "relu", "conv2d"):
            self.register_buffer(name, torch.rand(3, 1, 1) + 0.5)
        self.mul = nn.Parameter(torch.ones(3, 1, 1))
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = (x - self.mean) / self.std * self.mul + self.sum + self.relu + self.conv2d
        x = torch.relu(self.c(x))
        return x.mean((2, 3)) + x.std((2, 3)) + x.sum((2, 3)) * 0.01


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_buffers_may_be_called_like_operations(tmp_path, capture):
    artifact = assert_right(Normalises(), tmp_path / "names", IMAGE, IMAGE[:1], capture=capture)
    assert verify(artifact, trust=True).passed
