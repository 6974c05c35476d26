"""A model whose weights hold NaN: it is said when it is exported and drawn, and its verification is no pass."""

import json

import pytest
import torch
from torch import nn

import layerprobe as lp

IMAGE = torch.zeros(1, 3, 8, 8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.register_buffer("mask", torch.tensor([[0.0, -torch.inf]]))

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).mean((2, 3))), torch.softmax(self.mask, 1)


def _with(tensor=None, value=None):
    torch.manual_seed(0)
    model = Net().eval()
    if tensor:
        model.state_dict()[tensor].view(-1)[-1].fill_(value)
    return model


@pytest.mark.parametrize(
    ("tensor", "value", "said"),
    [
        ("fc.weight", torch.nan, ["fc.weight holds NaN: what is computed with it proves nothing"]),
        ("conv.weight", -torch.inf, ["conv.weight holds infinity: what is computed with it proves nothing"]),
        ("norm.running_var", torch.inf, ["norm.running_var holds infinity: what is computed with it proves nothing"]),
        (None, None, []),
    ],
)
def test_a_probe_names_the_first_weight_that_is_not_finite(tensor, value, said):
    assert list(lp.build_probe(_with(tensor, value), IMAGE).notes) == said


@pytest.mark.parametrize("broken", [True, False])
def test_results_that_are_nan_on_every_input_fail_the_verification(broken, tmp_path, layerprobe):
    model = _with()
    if broken:
        nn.init.constant_(model.fc.weight, torch.nan)
    artifact = lp.export_artifact(lp.build_probe(model, IMAGE), tmp_path / "artifact")
    call = ["verify", str(artifact), "--quiet", "--runner", "onnx-cpu", "--runner", "onnx-float64"]
    reports = ["--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml")]
    done = layerprobe(*call, *reports)
    report = json.loads((tmp_path / "r.json").read_text())
    failures = (tmp_path / "r.xml").read_text().count("<failure ")
    assert (done.code, report["undefined"], failures) == ((1, ["fc"], 1) if broken else (0, [], 0))
    said = "The model's result fc is NaN or infinite throughout, in float64, on each input: nothing was compared there"
    assert report["headline"].startswith(said if broken else "All pass.")
    # What was so in the baseline is not worse.
    again = layerprobe(*call, "--baseline", tmp_path / "r.json")
    assert again.code == 0
