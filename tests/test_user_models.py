"""Models as users bring them: several inputs, keywords, half precision, hooks, parametrisations, training mode.

Each goes the whole way: probe, artifact, verdict; captured by symbolic tracing and by torch.export.
"""

import json

import numpy as np
import pytest
import torch
from torch import nn

from export import export_artifact
from probe import build_probe, load_model
from runtime import RunnerUnavailable, open_artifact, open_runner, verify
from runtime.artifact.errors import ModelError

CAPTURES = ["trace", "export"]


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


IMAGE, MASK = noise(1, 3, 16, 16), noise(1, 1, 16, 16)


class Masked(nn.Module):
    """Several inputs, some of them optional, and a nested return value."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(3, 4, 3, padding=1)
        self.mask = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, image, mask=None, *, scale=None, nested=True):
        x = self.image(image)
        if mask is not None:
            x = x * torch.sigmoid(self.mask(mask))
        if scale is not None:
            x = x * scale
        return {"x": x, "pooled": (x.mean((2, 3)), x.amax((2, 3)))} if nested else x


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def verified(probe, folder):
    artifact = open_artifact(export_artifact(probe, folder / "artifact"))
    report = verify(artifact, trust=True)
    assert report.passed, [
        (runner.name, output.name, output.drift)
        for runner in report.runners
        for output in runner.outputs
        if output.verdict != "pass"
    ]
    return artifact, [runner.name for runner in report.runners]


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize(
    ("args", "kwargs", "names"),
    [
        ((IMAGE,), {}, ["image"]),
        ((IMAGE, MASK), {}, ["image", "mask"]),
        ((IMAGE,), {"mask": MASK}, ["image", "mask"]),
        ((), {"mask": MASK, "image": IMAGE}, ["image", "mask"]),
        ((IMAGE,), {"scale": torch.full((1,), 2.0)}, ["image", "scale"]),
    ],
    ids=["image alone", "two", "one by keyword", "all by keyword", "keyword only"],
)
def test_several_inputs_by_position_and_by_keyword(tmp_path, capture, args, kwargs, names):
    model = Masked().eval()
    probe = build_probe(model, *args, kwargs=kwargs, capture=capture)
    assert [spec.name for spec in probe.inputs] == names
    assert probe.inputs[0].shape == ("N", 3, 16, 16)
    assert list(probe.results) == ["x", "pooled.0", "pooled.1"]
    by_name = {"image": IMAGE, "mask": MASK, **kwargs}
    with torch.no_grad():
        returned, tensors = model(*args, **kwargs), probe(*(by_name[name] for name in names))
    assert torch.equal(tensors[probe.results["x"]], returned["x"])
    assert torch.equal(tensors[probe.results["pooled.1"]], returned["pooled"][1])
    assert verified(probe, tmp_path)[1] == ["onnx-float64", "onnx-cpu", "torchscript"]


def test_an_example_that_does_not_fit_the_signature_is_told_with_it():
    with pytest.raises(ModelError, match=r"forward takes image, mask=None.*unexpected keyword argument 'masks'"):
        build_probe(Masked(), IMAGE, kwargs={"masks": MASK})
    with pytest.raises(
        ModelError, match=r"missing a required argument: 'image'.*\n.*returns \(model, \(tensor, tensor\)"
    ):
        build_probe(Masked(), kwargs={"mask": MASK})


@pytest.mark.parametrize("capture", CAPTURES)
def test_half_precision(tmp_path, capture):
    probe = build_probe(network().half(), IMAGE.half(), capture=capture)
    assert {output.dtype for output in probe.outputs} == {"float16"}
    artifact, runners = verified(probe, tmp_path)
    assert runners == ["onnx-float64", "onnx-cpu", "torchscript"]
    # A photo is preprocessed in float32, whatever the model computes in.
    arrays = open_runner(artifact, "onnx-cpu").run({"input": IMAGE.numpy()})
    assert arrays["7"].dtype == np.float16


@pytest.mark.parametrize("capture", CAPTURES)
def test_bfloat16_runs_in_torchscript_and_onnx_runtime_says_why_not(tmp_path, capture):
    probe = build_probe(network().bfloat16(), IMAGE.bfloat16(), capture=capture)
    assert {output.dtype for output in probe.outputs} == {"bfloat16"}
    artifact, runners = verified(probe, tmp_path)
    assert runners == ["onnx-float64", "torchscript"]
    assert "bfloat16" in verify(artifact, trust=True).left_out["onnx-cpu"]
    with pytest.raises(RunnerUnavailable, match="bfloat16"):
        open_runner(artifact, "onnx-cpu")


def test_a_wrong_weight_in_bfloat16_is_still_found(tmp_path):
    probe = build_probe(network().bfloat16(), IMAGE.bfloat16())
    artifact = open_artifact(export_artifact(probe, tmp_path / "artifact"))
    reference = artifact.reference()
    from runtime.verdict.drift import compare_output

    truth = reference.truths["0"]
    wrong = (truth.sample.reshape(truth.shape) + 0.2 * truth.scale).astype(np.float32)
    assert compare_output("0", truth, wrong, "bfloat16").verdict == "drift"


@pytest.mark.parametrize("capture", CAPTURES)
def test_weight_norm_and_parametrisations(tmp_path, capture):
    model = network()
    model[0] = nn.utils.weight_norm(model[0])
    model[4] = nn.utils.parametrizations.spectral_norm(nn.utils.parametrizations.weight_norm(model[4]))
    probe = build_probe(model, IMAGE, capture=capture)
    assert [output.label for output in probe.outputs][:5] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Conv2d"]
    assert probe.outputs[4].operation == "torch.nn.modules.conv.Conv2d"
    verified(probe, tmp_path)


@pytest.mark.parametrize("capture", CAPTURES)
def test_hooks_of_submodules_take_part(tmp_path, capture):
    model = network().eval()
    model[1].register_forward_hook(lambda module, inputs, output: output + 1)
    model[4].register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,))
    probe = build_probe(model, IMAGE, capture=capture)
    with torch.no_grad():
        assert torch.equal(probe(IMAGE)["7"], model(IMAGE))
    verified(probe, tmp_path)


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_model_in_training_mode_is_captured_in_eval_and_left_in_training(capture):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    model[1].eval()
    statistics = model[1].running_mean.clone()
    probe = build_probe(model, IMAGE, capture=capture)
    assert [module.training for module in model] == [True, False, True]
    assert torch.equal(model[1].running_mean, statistics)
    with torch.no_grad():
        assert torch.equal(probe(IMAGE)["2"], model.eval()(IMAGE))


@pytest.mark.cuda
@pytest.mark.parametrize("capture", CAPTURES)
def test_a_model_on_the_gpu_is_probed_there_and_exported_for_everywhere(tmp_path, capture):
    model = network().cuda()
    probe = build_probe(model, IMAGE.cuda(), capture=capture)
    assert {tensor.device.type for tensor in probe(IMAGE.cuda()).values()} == {"cuda"}
    assert {"onnx-cpu", "torchscript"} <= set(verified(probe, tmp_path)[1])
    assert {parameter.device.type for parameter in model.parameters()} == {"cuda"}


FACTORIES = """
import torch
from torch import nn

def grey():
    return nn.Conv2d(1, 2, 3)

def five_bands():
    return nn.Conv2d(5, 2, 3)

class Pair(nn.Module):
    def forward(self, left, right):
        return torch.relu(left - right)

def by_position():
    return Pair(), (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))

def by_keyword():
    return Pair(), {"right": torch.zeros(1, 3, 8, 8), "left": torch.zeros(1, 3, 8, 8)}

def sized():
    return nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 20, 30)

def nothing():
    return Pair(), 3

class Stack(nn.Module):
    def forward(self, images, relu, scale=1.0):
        x = sum(images) * scale
        return torch.relu(x) if relu else -x

def one_list():
    return Stack(), ([torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)], True)

def flagged():
    return Stack(), {"images": [torch.zeros(1, 3, 8, 8)], "relu": False, "scale": 2.0}

def spread():
    return Pair(), torch.zeros(1, 3, 8, 8), True
"""


@pytest.fixture
def factories(tmp_path):
    file = tmp_path / "factories_of_users.py"
    file.write_text(FACTORIES)
    return file


def test_a_factory_may_bring_what_its_model_is_called_with(factories):
    def shapes(factory, **options):
        loaded = load_model(f"{factories}:{factory}", **options)
        return [tuple(tensor.shape) for tensor in (*loaded.example, *loaded.kwargs.values())], loaded.image is not None

    assert shapes("grey") == ([(1, 1, 224, 224)], True)
    assert shapes("grey", input_size=(28, 28)) == ([(1, 1, 28, 28)], True)
    assert shapes("five_bands") == ([(1, 5, 224, 224)], False)
    assert shapes("by_position") == ([(1, 3, 8, 8)] * 2, False)
    assert shapes("by_keyword") == ([(1, 3, 8, 8)] * 2, False)
    assert shapes("sized") == ([(1, 3, 20, 30)], True)
    assert load_model(f"{factories}:one_list").call.constants == {"relu": True}
    assert load_model(f"{factories}:flagged").image is not None
    with pytest.raises(ModelError, match=r"forward takes left, right; .* missing .*'right'"):
        shapes("nothing")
    with pytest.raises(ModelError, match=r"returned a module and 2 other values: return \(model, \(argument, argument"):
        shapes("spread")
    with pytest.raises(ModelError, match="brings its own example input"):
        shapes("sized", input_size=(8, 8))


def test_the_command_line_takes_a_model_of_two_inputs(layerprobe, factories, tmp_path):
    assert layerprobe("export", f"{factories}:by_keyword", "-o", tmp_path / "pair").code == 0
    done = layerprobe("verify", tmp_path / "pair")
    assert done.code == 0, done.err
    refused = layerprobe("grid", tmp_path / "pair", factories, "-o", tmp_path / "x.png")
    assert refused.code == 3
    assert (
        "not exported for images; it takes left (N x 3 x 8 x 8, float32), right (N x 3 x 8 x 8, float32)."
        in refused.err
    )
    assert 'takes them from a file: numpy.savez("F.npz", left=array, right=array) writes one.' in refused.err
    assert len(refused.err.splitlines()) == 2


def test_a_photo_is_taken_where_flags_and_numbers_come_with_it(layerprobe, factories, photo, tmp_path):
    listed = layerprobe("nodes", f"{factories}:flagged")
    assert listed.out.splitlines()[1] == "constants: relu = False, scale = 2.0"
    assert json.loads(layerprobe("nodes", f"{factories}:flagged", "--json").out)["constants"] == {
        "relu": False,
        "scale": 2.0,
    }
    assert layerprobe("export", f"{factories}:flagged", "-o", tmp_path / "flagged").code == 0
    done = layerprobe("grid", tmp_path / "flagged", photo, "-o", tmp_path / "flagged.png")
    assert done.code == 0, done.err
    eager = layerprobe("verify", tmp_path / "flagged", "--runner", "eager", "--model", f"{factories}:flagged")
    assert eager.code == 0, eager.err


def test_a_grey_model_takes_its_own_size_and_statistics(layerprobe, factories, photo, tmp_path):
    size = ("--input-size", "28x36", "--mean", "0.13", "--std", "0.31")
    assert layerprobe("export", f"{factories}:grey", "-o", tmp_path / "grey", *size).code == 0
    done = layerprobe("grid", tmp_path / "grey", photo, "-o", tmp_path / "grey.png")
    assert done.code == 0, done.err


def test_a_photo_is_no_input_of_a_model_that_takes_bytes(layerprobe, photo, tmp_path):
    file = tmp_path / "taking_bytes.py"
    file.write_text(
        "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        return x.float() / 255\n\ndef net():\n    return Net(), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)\n"
    )
    assert load_model(f"{file}:net").image is None
    assert layerprobe("export", f"{file}:net", "-o", tmp_path / "bytes").code == 0
    refused = layerprobe("grid", tmp_path / "bytes", photo, "-o", tmp_path / "x.png")
    assert refused.code == 3
    assert "not exported for images" in refused.err
