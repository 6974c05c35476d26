"""A batch that can't be open is held at the example's, said so, and everything else goes on."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from export import export_artifact
from probe import build_probe
from runtime import open_artifact, verify

IMAGE = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Convolves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)


class ReadsTheSecond(Convolves):
    def forward(self, x):
        return self.conv(x) + self.conv(x)[1]


class WritesToRows(Convolves):
    def forward(self, x):
        y = self.conv(x).clone()
        y[1] = 0
        return y.relu()


class Squeezes(Convolves):
    def forward(self, x):
        return self.conv(x).squeeze()


class CrossCorrelates(Convolves):
    """In as many groups as images times channels: a depthwise cross-correlation, as trackers have it."""

    def forward(self, x):
        features = self.conv(x)
        n, c, h, w = features.shape
        kernels = features[:, :, :3, :3].reshape(n * c, 1, 3, 3)
        return functional.conv2d(features.reshape(1, n * c, h, w), kernels, groups=n * c).reshape(n, c, h - 2, w - 2)


class Modulates(Convolves):
    """A convolution whose weights depend on the image, as in StyleGAN 2: the batch is folded into the groups."""

    def forward(self, x):
        n, c, h, w = x.shape
        style = x.mean((2, 3))[:, None, :, None, None]
        weights = (self.conv.weight[None] * style).reshape(n * 4, c, 3, 3)
        return functional.conv2d(x.reshape(1, n * c, h, w), weights, groups=n).reshape(n, 4, h - 2, w - 2)


@pytest.mark.parametrize(
    ("model", "batch", "open_probe"),
    [
        (ReadsTheSecond, 2, False),
        (WritesToRows, 2, False),
        (Squeezes, 1, False),
        (CrossCorrelates, 1, True),
        (CrossCorrelates, 2, True),
        (Modulates, 2, True),
    ],
)
@pytest.mark.parametrize("capture", ["trace", "auto"])
def test_a_batch_that_cannot_be_open_is_the_examples(tmp_path, model, batch, open_probe, capture):
    torch.manual_seed(0)
    model = model().eval()
    probe = build_probe(model, IMAGE[:batch], capture=capture)
    assert (probe.fixed_batch is None) == open_probe
    artifact = open_artifact(export_artifact(probe, tmp_path / "fixed"))
    assert artifact.manifest.inputs[0].shape == (batch, 3, 16, 16)
    assert not any("N" in str(size) for output in artifact.manifest.outputs for size in output.shape)
    report = verify(artifact, trust=True)
    assert report.passed, report.headline
    assert {runner.name for runner in report.runners} >= {"onnx-float64", "onnx-cpu", "torchscript"}


def test_the_command_line_says_that_the_batch_is_fixed(tmp_path, layerprobe):
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, x):\n"
        "        return self.conv(x) + self.conv(x)[1]\n"
        "def make():\n"
        "    return Net().eval(), torch.zeros(2, 3, 16, 16)\n"
    )
    listed = layerprobe("nodes", f"{tmp_path}/net.py:make")
    assert "the batch is fixed at 2" in listed.err
    exported = layerprobe("export", f"{tmp_path}/net.py:make", "-o", tmp_path / "art")
    assert exported.code == 0
    assert (exported.out + exported.err).count("the batch is fixed at 2") == 1
    assert layerprobe("verify", tmp_path / "art").code == 0
    assert "the batch is fixed" not in layerprobe("nodes", "cnn2").err
