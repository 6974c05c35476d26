"""Capturing with torch.export: the same probe as by symbolic tracing, and models that tracing can't follow."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from export import export_artifact
from probe import build_probe, load_model
from runtime import open_artifact, verify
from runtime.artifact.errors import ModelError

IMAGE = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name", ["cnn11", "cnn2", "cnn3", "torchvision:resnet18", "torchvision:mobilenet_v3_small", "torchvision:googlenet"]
)
def test_both_ways_of_capturing_give_the_same_outputs(name):
    model = load_model(name).module
    x = torch.zeros(1, 3, 64, 64)
    traced, exported = (build_probe(model, x, capture=way) for way in ("trace", "export"))
    assert traced.outputs == exported.outputs
    assert traced.results == exported.results
    assert traced.inputs == exported.inputs
    assert (traced.capture, exported.capture) == ("trace", "export")
    batch = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        left, right = traced(batch), exported(batch)
    assert all(torch.equal(left[name], right[name]) for name in left)


class _ShapeDependent(nn.Module):
    """What symbolic tracing can't follow: branches on shapes, unpacking, a loop over a size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        if x.shape[1] != 3:
            raise ValueError(x.shape)
        x = self.act(self.conv(x))
        x += 1
        b, c, h, w = x.shape
        tokens = x.view(b, c, h * w).transpose(1, 2)
        for _ in range(c // 4):
            tokens = F.gelu(tokens)
        return {"logits": self.head(tokens.amax(1)), "parts": tokens.chunk(2, 1)}


def test_a_branch_on_a_shape_is_captured_by_export_and_auto_says_why(tmp_path):
    model = _ShapeDependent().eval()
    with pytest.raises(ModelError, match=r"can't trace _Shape.*test_torch_export.py:\d+.*\n--capture export"):
        build_probe(model, IMAGE, capture="trace")
    probe = build_probe(model, IMAGE)
    assert probe.capture == "export"
    assert "test_torch_export.py:" in str(probe.capture_reason)
    names = [output.name for output in probe.outputs]
    assert names == [
        "conv",
        "act",
        "add",
        "view",
        "transpose",
        "gelu",
        "gelu_1",
        "amax",
        "head",
        "getitem",
        "getitem_1",
    ]
    batch = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        tensors = probe(batch)
        assert torch.equal(tensors["conv"], model.conv(batch))
        assert torch.equal(tensors["head"], model(batch)["logits"])
    assert probe.results == {"logits": "head", "parts.0": "getitem", "parts.1": "getitem_1"}
    artifact = open_artifact(export_artifact(probe, tmp_path / "a"))
    assert artifact.manifest.capture == "export"
    assert verify(artifact, trust=True).passed


def test_a_hook_on_the_model_itself_is_captured_by_export():
    model = nn.Sequential(nn.Conv2d(3, 4, 1)).eval()
    model.register_forward_hook(lambda module, inputs, output: output * 2)
    probe = build_probe(model, IMAGE)
    assert probe.capture == "export"
    with torch.no_grad():
        assert torch.equal(probe(IMAGE)[probe.results[""]], model(IMAGE))


def test_an_example_of_zeros_does_not_hide_what_tracing_misses():
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False)).eval()
    model.register_forward_hook(lambda module, inputs, output: output * 2)
    with pytest.raises(ModelError, match="capture missed a part"):
        build_probe(model, torch.zeros(1, 3, 8, 8), capture="trace")
    assert build_probe(model, torch.zeros(1, 3, 8, 8)).capture == "export"


class _ValueDependent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.head = nn.Sequential(nn.Conv2d(8, 2, 1))

    def forward(self, x):
        x = self.backbone(x)
        if x.sum() > 0:
            x = x * 2
        return self.head(x)


def test_control_flow_on_values_is_an_error_that_names_the_line_and_the_parts():
    with pytest.raises(ModelError) as error:
        build_probe(_ValueDependent(), IMAGE)
    text = str(error.value)
    assert "test_torch_export.py:" in text
    assert "backbone, head (--submodule backbone)" in text
    assert len(text.splitlines()) == 2


def test_export_does_not_touch_the_model_nor_copy_its_weights():
    model = _ShapeDependent().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    probe = build_probe(model, IMAGE, capture="export")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    shared = {parameter.data_ptr() for parameter in probe.module.parameters()}
    assert shared == {parameter.data_ptr() for parameter in model.parameters()}


def test_torchs_symbols_are_no_words_for_a_user():
    class Choosing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            return y if y.sum() > 0 else -y

    with pytest.raises(ModelError) as caught:
        build_probe(Choosing(), torch.zeros(1, 3, 8, 8))
    assert "torch.export can't capture Choosing: its control flow, or a tensor" in str(caught.value)
    assert "test_torch_export.py:" in str(caught.value)
    assert "u0" not in str(caught.value)


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_tensor_whose_last_step_is_a_write_by_index_is_a_result(capture):
    class Written(nn.Module):
        def forward(self, x):
            y = torch.zeros_like(x)
            y[x > 0] = 1.0
            return y

    x = torch.randn(2, 3, 4, 4)
    probe = build_probe(Written(), x, capture=capture)
    assert probe.results == {"": "output"}
    assert torch.equal(probe(x)["output"], (x > 0).float())
