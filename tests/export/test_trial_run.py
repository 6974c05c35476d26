"""What is exported is the model on any input, or is refused: nothing of the conversion's own input stays in it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from export import export_artifact, to_onnx
from export.rounding_noise import RoundingNoise
from export.trial_differences import find_differences
from probe import build_probe
from runtime import open_artifact, open_runner, verify
from runtime.artifact.errors import ExportError
from runtime.artifact.reference import Truth


class Net(nn.Module):
    """A convolution, and after it what the test is about."""

    def __init__(self, then) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c = nn.Conv2d(3, 4, 3, padding=1)
        self.then = then

    def forward(self, x):
        return self.then(x, self.c(x))


def export(then, folder, **options):
    return export_artifact(build_probe(Net(then), torch.zeros(1, 3, 8, 8), **options), folder / "artifact")


@pytest.mark.parametrize(
    "then", [lambda x, y: y * x.max().item(), lambda x, y: y * x.flatten()[:3].tolist()[1]], ids=["item", "tolist"]
)
def test_a_number_read_from_a_tensor_is_no_constant(tmp_path, then):
    with pytest.raises(ExportError, match=r"As TorchScript, .*mul \(.*\.py:\d+\) returns wrong values") as e:
        export(then, tmp_path)
    assert "--submodule c" in str(e.value) or "--submodule" in str(e.value)
    assert re.search(r"(item|tolist) \(.*\.py:\d+\) reads a number from a tensor", str(e.value))
    assert len(str(e.value).splitlines()) == 2
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("then", [lambda x, y: y.split(2)[0], lambda x, y: y.chunk(2)[0]], ids=["split", "chunk"])
def test_a_split_along_the_batch_holds_the_batch_at_the_examples(tmp_path, then):
    """The ONNX file is wrong for other batches, which the trial run sees."""
    artifact = open_artifact(export(then, tmp_path))
    assert artifact.manifest.inputs[0].shape == (1, 3, 8, 8)
    assert verify(artifact, trust=True).passed


def test_outputs_that_do_without_are_told(tmp_path):
    def aside(x, y):
        return y, torch.relu(x * x.max().item()).mean().item()

    with pytest.raises(ExportError, match=r"As TorchScript, mul \(.*\n.*--outputs c"):
        export(aside, tmp_path)


def test_a_split_along_the_channels_is_exported(tmp_path):
    artifact = open_artifact(export(lambda x, y: torch.cat(y.split(2, 1)[::-1], 1), tmp_path))
    x = torch.randn(5, 3, 8, 8)
    arrays = [open_runner(artifact, name).run({"x": x.numpy()}) for name in ("onnx-cpu", "torchscript")]
    np.testing.assert_allclose(arrays[0]["cat"], arrays[1]["cat"], atol=1e-5)


def test_a_single_rounding_that_goes_the_other_way_is_no_constant(tmp_path):
    export(lambda x, y: (y * 1e6).round() % 2, tmp_path)


def test_what_only_rounds_otherwise_on_the_other_input_is_no_constant(tmp_path):
    """Steady on the recorded input, as a softmax of large numbers may be, and rounding alone on the other one."""
    probe = build_probe(Net(lambda x, y: y), torch.zeros(1, 3, 8, 8))
    (recorded,) = open_artifact(export_artifact(probe, tmp_path / "plain")).reference().inputs.values()
    tried = probe.noise_input(batch=3, seed=2)[0].mean((1, 2, 3))
    far = tried[(tried - float(recorded.mean())).abs().argmax()]
    between = float(far + recorded.mean()) / 2
    sign = 1.0 if far > between else -1.0

    def steady_on_one_side(x, y):
        beyond = torch.relu(sign * (x.mean((1, 2, 3), keepdim=True) - between))
        return torch.sin(beyond * y * 1e9)

    export(steady_on_one_side, tmp_path)
    # Beside it, a constant is found still.
    with pytest.raises(ExportError, match=r"mul_\d \(.*returns wrong values"):
        export(lambda x, y: (steady_on_one_side(x, y), y * x.max().item()), tmp_path / "constant")


def test_in_half_precision_another_size_is_no_rounding(tmp_path, monkeypatch):
    """Of many layers in 16 bits the noise is large; what a split along the batch gives is seen by its shape."""

    def deep(x, y):
        for _ in range(8):
            y = torch.relu(nn.functional.conv2d(y, y.new_ones(4, 4, 3, 3) / 36, padding=1))
        return y.split(2)[0] * 2

    probe = build_probe(Net(deep).half(), torch.ones(1, 3, 8, 8).half())
    monkeypatch.setattr("export.trial_run._open_torchscript", lambda probe, file: None)
    artifact = open_artifact(export_artifact(probe, tmp_path / "half"))
    assert artifact.manifest.inputs[0].shape[0] == 1


def _dead(x, y):
    return y * 0 + 0.3


STEADY = {
    "group norm": (lambda x, y: nn.functional.group_norm(_dead(x, y), 2), torch.float32),
    "instance norm": (lambda x, y: nn.functional.instance_norm(_dead(x, y)), torch.float32),
    "less its mean": (lambda x, y: _dead(x, y) - _dead(x, y).mean((2, 3), keepdim=True), torch.float32),
    "standardised": (
        lambda x, y: (_dead(x, y) - _dead(x, y).mean(1, True)) / (_dead(x, y).std(1) + 1e-5),
        torch.float32,
    ),
    "logarithm of zero": (lambda x, y: torch.log(1 - torch.sigmoid(y * 20)), torch.float16),
    "overflow": (lambda x, y: (torch.relu(y) * 3e4 * 3).mean((2, 3)), torch.float16),
}


@pytest.mark.parametrize("case", STEADY)
def test_what_rounding_alone_decides_is_exported(tmp_path, case):
    then, dtype = STEADY[case]
    export_artifact(build_probe(Net(then).to(dtype), torch.ones(1, 3, 8, 8, dtype=dtype)), tmp_path / "artifact")


def _differences(truth, noise, array, dtype="float32"):
    spec = build_probe(Net(lambda x, y: y), torch.zeros(1, 3, 8, 8)).outputs[0].model_copy(update={"dtype": dtype})
    probe = SimpleNamespace(outputs=[spec])
    truth = np.asarray(truth, np.float64)
    expected = {"c": Truth(truth, truth.shape, float(np.nanmax(np.abs(truth[np.isfinite(truth)]))), 0.0, 0)}
    return [
        (each.how, each.details, each.overflows)
        for each in find_differences(probe, expected, {"c": noise}, {"c": np.asarray(array)})
    ]


def test_a_difference_is_told_with_the_element_and_both_values():
    steady = RoundingNoise(0.0, np.zeros(4, bool))
    assert _differences([1, 2, 3, 4], steady, [1, 2, 3, 4.01]) == []
    assert _differences([1, 2, 3, 4], steady, [1, 2.5, 3, 7]) == [
        ("wrong values", ": 7 instead of 4 at [3], where the largest is 4", False)
    ]
    assert _differences([1, 2, 3, 4], RoundingNoise(0.2, np.zeros(4, bool)), [1, 2, 3, 7]) == []


def test_an_overflow_of_the_runtime_alone_is_told_as_one():
    steady = RoundingNoise(0.0, np.zeros(4, bool))
    assert _differences([1, 2, 3, 4], steady, [1, np.inf, np.nan, 4], "float16") == [
        ("2 infinite or NaN of 4 values", "", True)
    ]
    # Where rounding decides which elements overflow, another element may.
    own = RoundingNoise(0.0, np.array([True, False, False, False]))
    assert _differences([np.inf, 2, 3, 4], own, [7, np.inf, 3, 4], "float16") == []


def test_another_batch_is_tried_only_where_it_is_the_cause(tmp_path, monkeypatch):
    """The second conversion would take as long as the first, and end the same way."""
    converted = []
    monkeypatch.setattr("export.artifact_writing.to_onnx", lambda probe, *of: converted.append(probe) or to_onnx(probe))
    for then in (lambda x, y: y * x.max().item(), lambda x, y: y.median(1)[0]):
        with pytest.raises(ExportError):
            export(then, tmp_path)
    assert len(converted) == 2
    export(lambda x, y: y.split(2)[0], tmp_path)
    assert [probe.fixed_batch for probe in converted[2:]] == [None, 1]
