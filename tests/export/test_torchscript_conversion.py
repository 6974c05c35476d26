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
