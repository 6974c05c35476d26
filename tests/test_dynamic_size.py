"""--dynamic-size: an artifact that takes images of any height and width."""

import operator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet as resnets

from export import export_artifact
from probe import build_probe, load_model
from runtime import Preprocessing, open_artifact, open_runner, verify
from runtime.artifact.errors import ExportError, ModelError
from runtime.runs.preprocessing import scaled_pixels


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A ResNet-18 with every second block."""
    folder = tmp_path_factory.mktemp("dynamic") / "resnet"
    model = resnets.ResNet(resnets.BasicBlock, [1, 1, 1, 1]).eval()
    probe = build_probe(model, torch.zeros(1, 3, 64, 64), dynamic_size=True)
    export_artifact(probe, folder)
    return open_artifact(folder), probe


def test_the_shapes_say_what_follows_the_size(resnet):
    _, probe = resnet
    shapes = {output.name: output.shape for output in probe.outputs}
    assert probe.inputs[0].shape == ("N", 3, "H", "W")
    assert shapes["conv1"] == ("N", 64, "H/2", "W/2")
    assert shapes["layer4.0.relu_1"] == ("N", 512, "H/32", "W/32")
    assert shapes["fc"] == ("N", 1000)


def test_it_is_verified_on_another_size_than_it_was_exported_with(resnet):
    artifact, _ = resnet
    assert artifact.reference().inputs["x"].shape == (1, 3, 128, 192)
    assert verify(artifact, trust=True).passed


@pytest.mark.parametrize("runner", ["onnx-cpu", "torchscript"])
@pytest.mark.parametrize("size", [(96, 64), (65, 97), (225, 33)])
def test_every_output_is_right_on_sizes_that_divide_by_nothing(resnet, runner, size):
    artifact, probe = resnet
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    arrays = open_runner(artifact, runner).run({"x": image.numpy()})
    with torch.no_grad():
        tensors = probe(image)
    for name, tensor in tensors.items():
        assert arrays[name].shape == tensor.shape
        assert np.allclose(arrays[name], tensor.numpy(), rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_interpolation_to_the_input_size_follows_it(tmp_path, capture):
    class Upsampling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

        def forward(self, x):
            return nn.functional.interpolate(self.conv(x), size=x.shape[-2:], mode="bilinear")

    probe = build_probe(Upsampling(), torch.zeros(1, 3, 32, 32), capture=capture, dynamic_size=True)
    assert probe.outputs[-1].shape == ("N", 4, "H", "W")
    artifact = open_artifact(export_artifact(probe, tmp_path / "a"))
    assert verify(artifact, trust=True).passed


SIZES = {
    "slice": lambda x: x[:, :, : x.shape[2] // 2],
    "slice from the end": lambda x: x[..., -(x.shape[3] // 4) :],
    "slice of the batch": lambda x: torch.cat([x, x])[: x.shape[0]],
    "pad": lambda x: nn.functional.pad(x, (0, x.shape[3] % 5, 0, x.shape[2] % 3)),
    "interpolation": lambda x: nn.functional.interpolate(x, size=(x.shape[2] * 2, x.shape[3] + 1), mode="bicubic"),
    "power": lambda x: x * x.shape[2] ** -0.5,
    "root": lambda x: x / (x.shape[1] * x.shape[2]) ** 0.5,
    "count": lambda x: x / x.numel(),
    "ratio": lambda x: x * (x.shape[2] / x.shape[3]),
    "maximum": lambda x: x * max(x.shape[2], x.shape[3]),
    "minimum": lambda x: x[:, :, : min(x.shape[2], x.shape[3]) - 1],
    "write": lambda x: operator.setitem(y := x.clone(), (slice(None), slice(None), slice(x.shape[2] // 2)), 0) or y + 1,
}


class Computing(nn.Module):
    def __init__(self, what) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.what = SIZES[what]

    def forward(self, x):
        return self.what(self.conv(x))


@pytest.mark.parametrize("what", SIZES)
def test_what_torch_export_computes_with_sizes_follows_them_in_every_runner(tmp_path, what):
    model = Computing(what).eval()
    probe = build_probe(model, torch.zeros(1, 3, 32, 64), capture="export", dynamic_size=True)
    artifact = open_artifact(export_artifact(probe, tmp_path / "a"))
    assert verify(artifact, trust=True).passed
    image = torch.randn(3, 3, 44, 52, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(image).numpy()
    for runner in ("onnx-cpu", "torchscript"):
        result = open_runner(artifact, runner).run({"x": image.numpy()})[probe.results[""]]
        assert result.shape == expected.shape
        assert np.allclose(result, expected, rtol=1e-3, atol=1e-4)


def test_a_size_that_torchscript_would_fix_is_an_error_of_the_export(tmp_path):
    class Splitting(nn.Module):
        def forward(self, x):
            return x.split(x.shape[2] // 2, 2)[0]

    probe = build_probe(Splitting(), torch.zeros(1, 3, 32, 64), dynamic_size=True)
    with pytest.raises(ExportError, match=r"As (ONNX|TorchScript), (the model fails|.* returns )"):
        export_artifact(probe, tmp_path / "a")


def test_a_model_of_one_size_says_so():
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3 * 32 * 32, 2)

        def forward(self, x):
            return self.fc(x.flatten(1))

    with pytest.raises(ModelError, match=r"only takes its example's size.*\nOmit --dynamic-size"):
        build_probe(Flat(), torch.zeros(1, 3, 32, 32), dynamic_size=True)


@pytest.mark.parametrize("photo_size", [(51, 60), (60, 51), (600, 200), (30, 300)])
@pytest.mark.parametrize("size", [(96, 160), (160, 96), (96, 96)])
def test_a_photo_fills_an_input_of_any_shape_without_black_edges(resnet, tmp_path, photo_size, size):
    artifact, _ = resnet
    square = artifact.manifest.model_copy(
        update={"preprocessing": Preprocessing(resize=73, crop=(64, 64), mean=[0] * 3, std=[1] * 3)}
    )
    (tmp_path / "net.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(3, 4, 1)\n")
    of_export = load_model(f"{tmp_path}/net.py:make", input_size=size).image
    white = Image.new("RGB", photo_size, "white")
    for steps in (
        square.image_input(size)[1],
        Preprocessing(resize=of_export.resize, crop=size, mean=[0] * 3, std=[1] * 3),
    ):
        assert steps.crop == size
        assert (scaled_pixels(white, steps) == 1).all()


@pytest.mark.parametrize("capture", ["export", "auto"])
def test_a_model_whose_capture_is_of_one_size_is_not_told_that_it_takes_no_other_itself(capture):
    class Weighted(nn.Module):
        def forward(self, x):
            return x * torch.linspace(0, 1, int(x.shape[3]))

    with pytest.raises(
        ModelError, match=r"can't capture Weighted for other sizes.*plain number 8 \(omit --dynamic-size"
    ) as told:
        build_probe(Weighted(), torch.zeros(1, 3, 8, 8), capture=capture, dynamic_size=True)
    assert "only takes its example's size" not in str(told.value)


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_half_the_height_is_told_only_where_all_even_heights_are_halved(capture):
    """34 pixels are 17, then 8, and 16 when they are doubled again."""

    class Pyramid(nn.Module):
        def forward(self, x):
            half = nn.functional.max_pool2d(x, 2)
            quarter = nn.functional.max_pool2d(half, 2)
            return nn.functional.interpolate(quarter, scale_factor=2.0), nn.functional.interpolate(half, scale_factor=2)

    probe = build_probe(Pyramid(), torch.rand(1, 3, 32, 64), capture=capture, dynamic_size=True)
    assert [output.shape[2:] for output in probe.outputs] == [
        ("H/2", "W/2"),
        ("H/4", "W/4"),
        ("H?", "W?"),
        ("H?", "W?"),
    ]


def test_what_takes_only_multiples_of_a_size_is_told_by_these():
    class Cut(nn.Module):
        def forward(self, x):
            return x.unflatten(2, (-1, 4)).mean(3), nn.functional.max_pool2d(x, 4).repeat_interleave(4, 2)

    probe = build_probe(Cut(), torch.rand(1, 3, 32, 64), dynamic_size=True)
    shapes = {output.name: output.shape[2:] for output in probe.outputs}
    assert shapes["mean"] == ("H/4", "W")
    assert shapes["repeat_interleave"] == ("H", "W/4")


def test_a_photo_in_another_size_on_the_command_line(layerprobe, photo, tmp_path):
    (tmp_path / "net.py").write_text("from torch import nn\ndef make():\n    return nn.Conv2d(3, 4, 3, stride=2)\n")
    fixed, dynamic, model = tmp_path / "fixed", tmp_path / "dynamic", f"{tmp_path}/net.py:make"
    layerprobe("export", model, "-o", fixed, "--input-size", "64")
    done = layerprobe("export", model, "-o", dynamic, "--input-size", "64", "--dynamic-size")
    assert done.code == 0, done.err
    drawn = layerprobe("grid", dynamic, photo, "-o", tmp_path / "x.png", "--input-size", "96x160")
    assert drawn.code == 0, drawn.err
    written = layerprobe("run", dynamic, photo, "-o", tmp_path / "x.safetensors", "--input-size", "96x160")
    assert written.code == 0, written.err
    refused = layerprobe("grid", fixed, photo, "-o", tmp_path / "x.png", "--input-size", "96x160")
    assert refused.code == 2
    assert "takes images of 64 x 64 only, not 96 x 160" in refused.err
    assert layerprobe("grid", fixed, photo, "-o", tmp_path / "x.png", "--input-size", "64").code == 0
    assert layerprobe("grid", fixed, photo, "-o", tmp_path / "x.png", "--input-size", "axb").code == 2
