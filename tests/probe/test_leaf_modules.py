"""Modules that stay whole at the user's wish: torchvision's own names, and the whole way to a verdict."""

import inspect
import json
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import get_graph_node_names

from probe import build_probe
from runtime.artifact.errors import CaptureError, UsageError


class Scale(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 2).relu()


class Doubled(Scale):
    pass


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.scale = Scale()
        self.doubled = Doubled()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.doubled(self.scale(self.conv(x)) + 1)


IMAGE = torch.zeros(1, 3, 16, 16)


def _names(*leaf_modules: str | type[nn.Module], capture: str = "auto") -> list[str]:
    return [each.name for each in build_probe(Net(), IMAGE, leaf_modules=leaf_modules, capture=capture).outputs]


@pytest.mark.parametrize(
    ("name", "capture"),
    [("efficientnet_b0", "trace"), ("mobilenet_v3_small", "trace"), ("mobilenet_v3_small", "export")],
)
def test_with_torchvisions_operators_whole_the_names_are_torchvisions(name, capture):
    model = getattr(torchvision.models, name)().eval()
    probe = build_probe(model, torch.zeros(1, 3, 64, 64), leaf_modules=["torchvision.ops.*"], capture=capture)
    found = [each.name for each in (*probe.inputs, *probe.outputs)]
    assert found == get_graph_node_names(model)[1]


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_class_stands_for_its_subclasses_too(capture):
    assert _names("Scale", capture=capture) == ["conv", "scale", "add", "doubled"]
    assert _names("Doubled", capture=capture) == ["conv", "scale.mul", "scale.relu", "add", "doubled"]


@pytest.mark.parametrize("given", [Scale, "*test_leaf_modules.Scale", "Sca*"])
def test_a_class_is_given_by_itself_by_its_name_or_by_a_glob(given):
    assert _names(given)[:2] == ["conv", "scale"]


def test_the_value_is_that_of_the_module():
    model, image = Net().eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected = model.scale(model.conv(image))
        assert torch.equal(build_probe(model, IMAGE, leaf_modules=["Scale"])(image)["scale"], expected)


@pytest.mark.parametrize(
    ("model", "leaf", "message"),
    [
        (Net(), "Scael", "Net has no module of the class 'Scael'. It has, for example: Scale"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "Block", "Sequential has no module of the class 'Block'. All its modules"),
    ],
)
def test_a_class_that_the_model_lacks_is_named(model, leaf, message):
    with pytest.raises(UsageError) as raised:
        build_probe(model, IMAGE, leaf_modules=[leaf])
    assert message in str(raised.value)


def test_the_eager_runner_keeps_the_same_modules_whole(layerprobe: Callable[..., object], tmp_path):
    artifact, report, source = tmp_path / "artifact", tmp_path / "report.json", tmp_path / "net.py"
    classes = "\n\n".join(map(inspect.getsource, (Scale, Doubled, Net)))
    source.write_text(f"import torch\nfrom torch import nn\n\n{classes}")
    leaves = ("--leaf", "Doubled", "--leaf", "Sca*")
    exported = layerprobe("export", f"{source}:Net", "-o", artifact, "--input-size", "16", *leaves)
    assert exported.code == 0, exported.err
    assert json.loads((artifact / "manifest.json").read_text())["recipe"]["leaf_modules"] == list(leaves[1::2])
    runners = ("--runner", "eager", "--runner", "onnx-cpu")
    verified = layerprobe("verify", artifact, *runners, "--model", f"{source}:Net", "--json", report)
    assert verified.code == 0, verified.err
    outputs = json.loads(report.read_text())["outputs"]
    assert [each["name"] for each in outputs] == ["conv", "scale", "add", "doubled"]


def test_a_models_own_check_that_fails_ahead_of_a_module_is_the_only_message(recwarn):
    model = Net().eval()

    def check(_module: nn.Module, _inputs: object) -> None:
        raise ValueError("the image is too small")

    model.conv.register_forward_pre_hook(check)
    with pytest.raises(CaptureError, match="the image is too small"):
        build_probe(model, IMAGE)
    assert list(recwarn) == []
