"""What torch.jit alone stumbles over."""

import pytest
import torch
from torch import nn

from export.torchscript_conversion import to_torchscript
from probe import build_probe


class SegNet(nn.Module):
    """Pools with indices and unpools, to the size that the pooling started from."""

    def __init__(self, pool, unpool, sized):
        super().__init__()
        self.pool, self.unpool, self.sized = pool(2, return_indices=True), unpool(2), sized

    def forward(self, x):
        y, indices = self.pool(x)
        return self.unpool(y, indices, output_size=x.shape) if self.sized else self.unpool(y, indices)


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize(
    ("pool", "unpool", "shape"),
    [(nn.MaxPool1d, nn.MaxUnpool1d, (2, 8)), (nn.MaxPool2d, nn.MaxUnpool2d, (2, 4, 8))],
    ids=["1d", "2d"],
)
def test_unpooling_is_traced_for_any_batch(pool, unpool, shape, sized):
    model = SegNet(pool, unpool, sized).eval()
    traced = to_torchscript(build_probe(model, torch.zeros(1, *shape)))
    image = torch.randn(3, *shape)
    with torch.no_grad():
        assert torch.equal(list(traced(image).values())[-1], model(image))


class Convolutions(nn.Module):
    """One of each kind, with the options that their arguments are in another order for."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Conv2d(3, 4, 3, stride=2, padding=(2, 1), dilation=(1, 2), padding_mode="reflect")
        self.up = nn.ConvTranspose2d(4, 4, 3, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2, dilation=2)
        self.line, self.back = nn.Conv1d(4, 2, 3, bias=False, groups=2), nn.ConvTranspose1d(2, 2, 3)
        self.volume, self.deep = nn.Conv3d(1, 2, 3), nn.ConvTranspose3d(2, 1, 2, stride=(1, 2, 1))
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(4, 4, 1)), nn.Sequential(nn.ReLU())])

    def forward(self, x):
        x = self.up(self.flat(x))
        for block in (*self.blocks, *self.blocks):
            x = block(x)
        return self.back(self.line(x.mean(2))), self.deep(self.volume(x[:, None]))


def test_convolutions_obey_the_settings_of_the_process_that_runs_them():
    model = Convolutions().eval()
    traced = to_torchscript(build_probe(model, torch.zeros(1, 3, 9, 12)))
    kinds = {node.kind() for node in traced.inlined_graph.nodes() if "conv" in node.kind()}
    # Not aten::_convolution, whose argument allow_tf32 is the exporting process's.
    assert kinds == {f"aten::{kind}{axes}d" for kind in ("conv", "conv_transpose") for axes in (1, 2, 3)}
    image = torch.randn(3, 3, 9, 12)
    with torch.no_grad():
        found, (back, deep) = traced(image), model(image)
    assert torch.equal(found["back"], back)
    assert torch.equal(found["deep"], deep)
