"""The runner of `make small-models`: what is right, what is refused, and that a wrong value is noticed."""

import numpy as np
import pytest
import torch
from torch import nn

from proofs import small_models as page
from proofs.small_modules.collection import SmallModel, noise, small_models
from proofs.three_tools import Finding, Kind, differs, judge

RIGHT, REFUSED = Finding(Kind.RIGHT), Finding(Kind.REFUSED, "it branches on a value")


class InPlace(nn.Module):
    """A layer, overwritten by its activation."""

    def __init__(self):
        super().__init__()
        self.layer, self.act = nn.Linear(2, 2), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.layer(x))


def row(layerprobe, torch_onnx=RIGHT):
    return page.Row({"layerprobe": layerprobe, "torchvision": RIGHT, "torch.onnx": torch_onnx}, 60.0)


def test_what_is_overwritten_in_place_is_right_here_and_wrong_in_torchvision():
    found = page.judge_entry(SmallModel(InPlace, (noise(2, 2),))).findings
    assert found == {
        "layerprobe": Finding(Kind.RIGHT),
        "torchvision": Finding(Kind.WRONG, "layer"),
        "torch.onnx": Finding(Kind.RIGHT),
    }


def test_what_no_graph_can_hold_is_refused(tmp_path):
    entry = small_models()["control_flow:BranchOnValue"]
    found = judge("layerprobe", entry, tmp_path)
    assert found.kind is judge("torchvision", entry, tmp_path).kind is Kind.REFUSED
    assert "can't be captured as one graph" in found.detail


def test_a_planted_wrong_value_is_noticed(tmp_path):
    made = []

    def another_each_time():
        made.append(InPlace())
        nn.init.constant_(made[-1].layer.weight, len(made))
        return made[-1]

    assert judge("layerprobe", SmallModel(another_each_time, (noise(2, 2),)), tmp_path) == Finding(
        Kind.WRONG, "layer, act"
    )


def test_an_error_that_is_not_its_own_is_internal(tmp_path, monkeypatch):
    def fails(*_):
        raise KeyError("a bug")

    monkeypatch.setattr("proofs.three_tools.build_probe", fails)
    found = judge("layerprobe", SmallModel(InPlace, (noise(2, 2),)), tmp_path)
    assert found == Finding(Kind.INTERNAL, "KeyError: 'a bug'")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (np.float32([1, 2.1]), np.float32([1, 2])),
        (np.float32([1, np.nan]), np.float32([1, 2])),
        (np.float32([[1, 2]]), np.float32([1, 2])),
        (np.int64([1, 2]), np.float32([1, 2])),
        (np.int64([1, 3]), np.int64([1, 2])),
    ],
    ids=["value", "nan", "shape", "type", "integer"],
)
def test_another_value_differs_and_rounding_does_not(found, expected):
    assert differs(found, expected)
    assert not differs(expected + expected.dtype.type(0), expected)
    assert not differs(np.float32([1, 2.0000002]), np.float32([1, 2]))


@pytest.mark.parametrize(
    ("rows", "good"),
    [
        ([row(RIGHT)] * 19 + [row(REFUSED)], True),
        ([row(RIGHT)] * 18 + [row(REFUSED)], False),
        ([row(RIGHT), row(REFUSED, REFUSED)], True),
        ([row(Finding(Kind.ONE_BATCH))], True),
        ([row(RIGHT), row(Finding(Kind.WRONG), REFUSED)], False),
        ([row(RIGHT), row(Finding(Kind.INTERNAL), REFUSED)], False),
        ([row(Finding(Kind.NOT_PASSED))], False),
    ],
)
def test_what_the_proof_demands(rows, good):
    assert page.passed(dict(enumerate(rows))) is good


def test_the_page_counts_and_lists():
    names = list(small_models())[:3]
    written = page.as_page(dict(zip(names, [row(RIGHT), row(REFUSED), row(REFUSED, REFUSED)], strict=True)))
    assert "**Of 2 models that torch.onnx exports rightly, layerprobe exports and verifies 1:\n50.0 %.**" in written
    assert "| refuses | 2 | 0 | 1 |" in written
    assert (
        f"| {names[1]} | {small_models()[names[1]].about} | refuses: it branches on a value | right | right |"
        in written
    )
    assert "3 models in 2 minutes of two processes" in written
    assert f"**{len(small_models()) - 3} models of the collection have not been run.**" in written


def test_rows_are_kept():
    assert page.Row.parse(row(REFUSED).as_json("pooling:max_pool")) == ("pooling:max_pool", row(REFUSED))


def test_every_small_model_says_what_it_is_and_comes_out_the_same_each_time():
    models = small_models()
    assert len(models) > 300
    assert all(entry.about.endswith(".") and entry.example for entry in models.values())
    assert torch.equal(noise(2, 3), noise(2, 3))
