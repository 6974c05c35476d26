"""A model that is NaN or infinite in some elements: right where the model is so itself, told, and a fault elsewhere."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.numpy import save_file
from torch import nn

import layerprobe as lp
from tests.altered_artifacts import copy_of, rehash
from tests.onnx_making import constant, node, save, value, weight

IMAGE = torch.zeros(1, 3, 8, 8)
RUNNERS = ("onnx-float64", "onnx-cpu")


class Divides(nn.Module):
    """Infinite in its second element, and then NaN there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("by", torch.tensor([1.0, 0.0, 2.0, 4.0]))

    def forward(self, x):
        return self.conv(x).mean((2, 3)) / self.by * self.by


@pytest.fixture(scope="module")
def divides(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("divides") / "artifact"
    lp.export_artifact(lp.build_probe(Divides().eval(), IMAGE), folder)
    return folder


def _verdicts(report):
    return {runner.name: str(runner.verdict) for runner in report.runners}


def test_where_the_model_itself_is_nan_nan_is_right_and_told(divides):
    report = lp.verify(divides, RUNNERS)
    assert (_verdicts(report), report.passed) == ({"onnx-float64": "pass", "onnx-cpu": "pass"}, True)
    # An infinity is compared: it has to be the same.
    assert report.untried == {"mul": ["some of it is NaN in the model itself"]}
    told = "The model's result mul is NaN in part, in float64, on each input: there, NaN is right."
    assert report.headline.startswith(f"All pass. {told} ")


def _with(folder, target, node_name, values):
    """Return a copy of an artifact in whose ONNX file a node's second input is another constant."""
    altered = copy_of(folder, target)
    model = onnx.load(altered / "model.onnx")
    (found,) = (each for each in model.graph.node if each.output[0] == node_name)
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32), "other"))
    found.input[1] = "other"
    onnx.save(model, altered / "model.onnx")
    rehash(altered, "model.onnx")
    return altered


@pytest.mark.parametrize(
    ("node_name", "values"),
    [("truediv", [1, 1, 2, 4]), ("mul", [1, 0, np.nan, 4])],
    ids=["finite where the model is not", "NaN where the model is finite"],
)
def test_nan_and_numbers_in_the_wrong_places_fail_the_file_and_its_runner(node_name, values, divides, tmp_path):
    report = lp.verify(_with(divides, tmp_path / "altered", node_name, values), RUNNERS)
    assert _verdicts(report) == {"onnx-float64": "nonfinite", "onnx-cpu": "nonfinite"}
    culprits = [(runner.culprit.output, runner.culprit.cause) for runner in report.runners]
    assert culprits == [(node_name, "export"), (node_name, "export")]


@pytest.mark.parametrize("name", ["truediv", "mul"])
def test_a_number_where_an_operation_makes_nan_or_infinity_of_right_inputs_is_its_own_fault(name, divides, tmp_path):
    run = lp.open_runner(divides, "onnx-cpu").run(lp.open_artifact(divides).reference().inputs)
    wrong = {**run, name: np.where(np.isfinite(run[name]), run[name], np.float32(1))}
    save_file(wrong, tmp_path / "wrong.safetensors")
    runner = lp.verify(divides, tensors=[tmp_path / "wrong.safetensors"]).runners[-1]
    assert (str(runner.verdict), runner.culprit.output) == ("nonfinite", name)


class Overflows(nn.Module):
    """In float32 infinity minus infinity, in float64 a number."""

    def forward(self, x):
        large = x * 1e30 * 1e30
        return large - large


class Underflows(nn.Module):
    """In float32 zero divided by zero, in float64 a number."""

    def forward(self, x):
        small = x * 1e-30
        return (small * small).sqrt() / (small * small).sqrt()


class Rounds(nn.Module):
    """In float32 the square root of a small negative number, by rounding, and in float64 of none."""

    def forward(self, x):
        return (x * 0 + 0.1 - 0.3 + 0.2).sqrt()


@pytest.mark.parametrize("model", [Overflows(), Underflows(), Rounds()])
def test_what_only_float32_cannot_hold_is_no_fault_of_the_file(model, tmp_path):
    probe = lp.build_probe(model, torch.rand(1, 3, 4, 4) + 0.5)
    artifact = lp.export_artifact(probe, tmp_path / "artifact")
    report = lp.verify(artifact, RUNNERS)
    assert "nonfinite" not in _verdicts(report).values()
    assert [names for names in report.untried if "NaN" in str(report.untried[names])]


def test_a_mask_of_infinities_in_an_onnx_file_is_no_fault(tmp_path):
    file = save(
        tmp_path / "masked.onnx",
        [
            node("Conv", ["x", "w"], ["conv"]),
            node("Where", ["keeps", "conv", "never"], ["masked"]),
            node("Softmax", ["masked"], ["y"], axis=1),
        ],
        [value("x", 1, 3, 8, 8)],
        [value("masked", 1, 4, 6, 6), value("y", 1, 4, 6, 6)],
        [
            weight("w", 4, 3, 3, 3),
            constant("keeps", [[[[True]], [[False]], [[True]], [[True]]]], "bool"),
            constant("never", -np.inf, "float32"),
        ],
    )
    report = lp.verify(lp.export_onnx(lp.load_onnx(file).probe, tmp_path / "artifact"))
    assert (_verdicts(report), report.passed) == ({"onnx-cpu": "pass"}, True)
