"""One small model of each of torchvision's families, on small images: the cheap ones go the whole way.

`make zoo` takes all of them, and those of timm, the whole way (`tests/proofs/zoo.py`).
"""

import pytest
import torchvision

from export import export_artifact
from probe import build_probe, load_model
from proofs.zoo import returns_what_the_model_does
from runtime import open_artifact, verify

pytestmark = pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")

WHOLE_WAY = {
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
}
"""Model to its images' height and width."""

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
    "swin_t": 64,
    "vgg11": 32,
    "vit_b_32": 224,
    "deeplabv3_mobilenet_v3_large": 64,
    "fcn_resnet50": 64,
    "lraspp_mobilenet_v3_large": 64,
}


def probe_of(name, size):
    loaded = load_model(f"torchvision:{name}", input_size=(size, size))
    probe = build_probe(loaded.module, *loaded.example)
    assert probe.capture == "trace"
    assert returns_what_the_model_does(loaded.module, probe)
    return probe


@pytest.mark.parametrize("name", WHOLE_WAY)
def test_a_small_model_goes_the_whole_way(name, tmp_path):
    export_artifact(probe_of(name, WHOLE_WAY[name]), tmp_path / name, averaged=True)
    for file in ("model.onnx", "averaged.onnx"):
        report = verify(open_artifact(tmp_path / name / file), ["onnx-cpu", "torchscript"])
        assert [(runner.name, runner.verdict, runner.first_failing) for runner in report.runners] == [
            ("onnx-cpu", "pass", None),
            ("torchscript", "pass", None),
        ]


@pytest.mark.parametrize("name", PROBED)
def test_the_probe_returns_what_the_model_does(name):
    probe_of(name, PROBED[name])


def test_each_family_is_among_them():
    def family(name):
        return torchvision.models.get_model_builder(name).__module__

    models = torchvision.models
    everything = models.list_models(module=models) + models.list_models(module=models.segmentation)
    assert {family(name) for name in (*WHOLE_WAY, *PROBED)} == {family(name) for name in everything}
