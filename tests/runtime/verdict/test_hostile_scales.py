"""Sound models of unusual scale pass, and faults beside massive or tiny numbers are found where they are."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from export import export_artifact
from probe import build_probe
from proofs.hostile_networks import STEPS, HostileNetwork, draw_networks, networks
from proofs.planted_faults import edited_model
from runtime import open_artifact, verify


class Hostile(nn.Module):
    """Small scores, massive, dead and denormal channels, and cancellation, each of which is right."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.massive = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.after = nn.Conv2d(8, 8, 3, padding=1)
        self.dead = nn.Conv2d(3, 8, 3, padding=1)
        self.instance = nn.InstanceNorm2d(8)
        self.denormal = nn.Conv2d(3, 8, 3, bias=False)
        self.decode = nn.Conv2d(8, 4, 1, bias=False)
        with torch.no_grad():
            self.massive.weight[0] *= 3e4
            self.dead.weight.zero_()
            self.dead.bias.fill_(3.7)
            self.denormal.weight[1] = 1e-41

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.conv(x)
        far = y + 100
        return {
            "scores": torch.sigmoid(y * 0.3 - 7),
            "product": torch.sigmoid(y - 12) * 1000,
            "silu": functional.silu(y * 1e-4),
            "elu": functional.elu(y * 1e-5),
            "expm1": torch.expm1(y * 1e-5),
            "softplus": functional.softplus(y - 12),
            "log1p": torch.log1p(y.abs() * 1e-5),
            "softmax": torch.softmax(y * 30, 1),
            "massive": self.after(torch.relu(self.norm(self.massive(x)))),
            "dead": self.instance(self.dead(x)),
            "denormal": self.denormal(x),
            "variance": far.pow(2).mean((2, 3)) - far.mean((2, 3)).pow(2),
            "decoded": self.decode(torch.sigmoid(y - 14)),
        }


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return export_artifact(build_probe(Hostile().eval(), x), tmp_path_factory.mktemp("hostile") / "model")


@pytest.fixture
def planted(hostile: Path, tmp_path: Path) -> Callable[[Callable[[onnx.ModelProto], None]], Any]:
    def plant(change: Callable[[onnx.ModelProto], None]) -> Any:
        folder = Path(shutil.copytree(hostile, tmp_path / "faulty"))
        with edited_model(folder) as model:
            change(model)
        return verify(open_artifact(folder), ["onnx-float64", "onnx-cpu"])

    return plant


def _scale_weight(model: onnx.ModelProto, name: str, channel: int, factor: float) -> None:
    (tensor,) = (each for each in model.graph.initializer if each.name == name)
    values = numpy_helper.to_array(tensor).copy()
    values[channel] *= np.float32(factor)
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def test_sound_models_of_any_scale_pass_in_every_runner(hostile: Path) -> None:
    report = verify(hostile, trust=True)
    assert report.passed, report.headline
    for runner in report.runners:
        assert all(output.verdict in ("pass", "unproven") for output in runner.outputs)
        assert max(output.introduced or 0 for output in runner.outputs) < 8, runner.name


@settings(max_examples=2, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_no_drawn_network_is_called_wrong(tmp_path_factory: pytest.TempPathFactory, network: HostileNetwork) -> None:
    model, x = network.make()
    report = verify(export_artifact(build_probe(model, x), tmp_path_factory.mktemp("drawn") / "model"), trust=True)
    assert report.passed, report.headline
    assert {runner.name for runner in report.runners} >= {"onnx-float64", "onnx-cpu", "torchscript"}


def test_networks_are_drawn_the_same_each_time_and_every_step_begins_one() -> None:
    drawn = draw_networks(2 * len(STEPS))
    assert drawn == draw_networks(2 * len(STEPS))
    assert {network.steps[0] for network in drawn} == set(STEPS)


def test_a_channel_that_is_a_little_off_beside_a_massive_one_is_found_where_it_is(
    planted: Callable[[Callable[[onnx.ModelProto], None]], Any],
) -> None:
    report = planted(lambda model: _scale_weight(model, "massive.weight", 3, 1.002))
    for runner in report.runners:
        assert (runner.first_failing, runner.culprit.output, runner.culprit.cause) == ("massive", "massive", "export")
    # What comes after is not blamed for what it was given.
    verdicts = {output.name: output.verdict for output in report.runners[1].outputs}
    assert verdicts["norm"] != "drift"


def test_a_fault_behind_what_float32_cannot_settle_is_proven_in_float64(
    planted: Callable[[Callable[[onnx.ModelProto], None]], Any],
) -> None:
    def times(model: onnx.ModelProto) -> None:
        (node,) = (each for each in model.graph.node if list(each.output) == ["sub_3"])
        node.output[0] = "unscaled"
        model.graph.initializer.append(numpy_helper.from_array(np.float32(1.1), "factor"))
        model.graph.node.append(onnx.helper.make_node("Mul", ["unscaled", "factor"], ["sub_3"], name="scaled"))

    file, _ = planted(times).runners
    assert (file.verdict, file.culprit.output, file.culprit.cause) == ("drift", "sub_3", "export")
