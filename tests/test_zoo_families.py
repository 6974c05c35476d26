"""One small model of each of torchvision's families, on small images; members with a few blocks go the whole way.

`make zoo` takes all of them, and those of timm, the whole way (`tests/proofs/zoo.py`).
"""

import pytest
import torch
import torchvision
from torchvision.models import mobilenetv3, regnet, shufflenetv2

from export import export_artifact
from probe import build_probe, load_model
from proofs.zoo import returns_what_the_model_does
from runtime import open_artifact, verify

pytestmark = pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")


def mobilenet_v3():
    setting, last_channel = mobilenetv3._mobilenet_v3_conf("mobilenet_v3_small")
    return mobilenetv3.MobileNetV3(setting[:4], last_channel)


def regnet_y():
    blocks = regnet.BlockParams.from_init_params(depth=6, w_0=48, w_a=27.89, w_m=2.09, group_width=8, se_ratio=0.25)
    return regnet.RegNet(blocks)


WHOLE_WAY = {
    "mobilenet_v3": mobilenet_v3,
    "regnet_y": regnet_y,
    "shufflenet_v2": lambda: shufflenetv2.ShuffleNetV2([2, 1, 1], [24, 48, 96, 192, 256]),
    "squeezenet1_1": torchvision.models.squeezenet1_1,
}
"""Each kind of block that the families have, once or twice: how deep they are changes nothing but the time."""

PROBED = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "googlenet": 32,
    "inception_v3": 75,
    "maxvit_t": 224,
    "mnasnet0_5": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_large": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "swin_t": 64,
    "vgg11": 32,
    "vit_b_32": 224,
    "deeplabv3_mobilenet_v3_large": 64,
    "fcn_resnet50": 64,
    "lraspp_mobilenet_v3_large": 64,
}


@pytest.mark.parametrize("family", WHOLE_WAY)
def test_a_small_member_goes_the_whole_way(family, tmp_path):
    torch.manual_seed(0)
    probe = build_probe(WHOLE_WAY[family]().eval(), torch.zeros(1, 3, 32, 32))
    export_artifact(probe, tmp_path / family, averaged=True)
    for file in ("model.onnx", "averaged.onnx"):
        report = verify(open_artifact(tmp_path / family / file), ["onnx-cpu", "torchscript"])
        assert [(runner.name, runner.verdict, runner.first_failing) for runner in report.runners] == [
            ("onnx-cpu", "pass", None),
            ("torchscript", "pass", None),
        ]


@pytest.mark.parametrize("name", PROBED)
def test_the_probe_returns_what_the_model_does(name):
    size = PROBED[name]
    loaded = load_model(f"torchvision:{name}", input_size=(size, size))
    probe = build_probe(loaded.module, *loaded.example)
    assert probe.capture == "trace"
    assert returns_what_the_model_does(loaded.module, probe)


def test_each_family_is_among_them():
    def family(name):
        return torchvision.models.get_model_builder(name).__module__

    models = torchvision.models
    everything = models.list_models(module=models) + models.list_models(module=models.segmentation)
    assert {family(name) for name in PROBED} == {family(name) for name in everything}
