"""What an input leaves untried: sides of a clamp, branches of `where`, channels that stay 0."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from export.kept_tensors import Keep
from export.recorded_inputs import RecordedInput
from export.reference_recording import record_reference, record_references
from probe import build_probe


class Cases(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.six = nn.ReLU6()
        self.bounded = nn.Hardtanh(-2, 3)

    def forward(self, x):
        return {
            "six": self.six(x),
            "bounded": self.bounded(x),
            "relu": functional.relu(x),
            "clamp": x.clamp(max=1),
            "swish": functional.hardswish(x),
            "where": torch.where(x > 0, x, -x),
        }


@pytest.mark.parametrize(
    ("low", "high", "untried"),
    [
        (-9, 9, {}),
        (
            1,
            2,
            {
                "six": {"its input is never below 0", "its input is never above 6"},
                "bounded": {"its input is never below -2", "its input is never above 3"},
                "relu": {"its input is never below 0"},
                "hardswish": {"its input is never below -3", "its input is never above 3"},
                "where": {"its condition is never false"},
            },
        ),
        (
            -2,
            -1,
            {
                "six": {"its input is never above 6"},
                "bounded": {"its input is never below -2", "its input is never above 3"},
                "relu": {"its input is never above 0"},
                "clamp": {"its input is never above 1"},
                "hardswish": {"its input is never below -3", "its input is never above 3"},
                "where": {"its condition is never true"},
            },
        ),
    ],
)
def test_what_no_value_of_an_input_reaches_is_told(low, high, untried):
    probe = build_probe(Cases().eval(), torch.linspace(low, high, 48).reshape(1, 3, 4, 4))
    assert record_reference(probe, probe.example).untried == untried


def test_channels_that_stay_0_are_told():
    conv = nn.Conv2d(3, 4, 1)
    with torch.no_grad():
        conv.bias.zero_()  # so that noise gives numbers of both signs
        conv.bias[2] = -1000
    probe = build_probe(nn.Sequential(conv, nn.ReLU()), torch.zeros(1, 3, 4, 4))
    assert record_reference(probe, probe.noise_input()).zero_channels == {"1": frozenset({2})}


def test_an_input_that_the_model_fails_on_or_makes_nan_of_is_not_recorded():
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(x.sqrt())

    probe = build_probe(Root(), torch.rand(1, 3, 4, 4))
    inputs = [
        RecordedInput("the example", probe.example),
        RecordedInput("negative", (-probe.example[0],)),
        RecordedInput("wide", (torch.rand(1, 3, 4, 5),)),
        RecordedInput("another", (torch.rand(1, 3, 4, 4),)),
        RecordedInput("another", (torch.rand(1, 3, 4, 4),)),
    ]
    found = record_references(probe, inputs, Keep())
    assert [each.name for each in found] == ["the example", "another"]


def test_the_reference_is_as_large_as_the_model_or_small():
    assert Keep.beside(14_376_368, outputs=153).elements == 8192
    assert Keep.beside(47_000_000, outputs=69).elements == 65_536
    assert Keep.beside(1000, outputs=10).elements == 4096
