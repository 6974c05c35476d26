"""What a probe says of its sizes is true: an open batch, height or width gives what the model gives, or is not open."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from probe import build_probe
from runtime.artifact.errors import ModelError

CAPTURES = ["auto", "export"]


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


class OneConv(nn.Module):
    def __init__(self, body) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.body = body

    def forward(self, *inputs):
        return self.body(self.conv, *inputs)


class Dividing(OneConv):
    def __init__(self) -> None:
        super().__init__(lambda conv, x: conv(x) / int(x.shape[0]))

    def forward(self, x):
        return super().forward(x)


class TreatingOneImageApart(OneConv):
    def __init__(self) -> None:
        super().__init__(lambda conv, x: conv(x) if x.shape[0] == 1 else conv(x) * 2)

    def forward(self, x):
        return super().forward(x)


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("kind", [Dividing, TreatingOneImageApart])
def test_a_model_that_computes_with_its_batch_is_right_for_it_and_claims_no_other(kind, batch, capture):
    model, x = kind().eval(), noise(batch, 3, 8, 8)
    probe = build_probe(model, x, capture=capture)
    assert probe.inputs[0].shape == (batch, 3, 8, 8)
    assert {output.shape[0] for output in probe.outputs} == {batch}
    with torch.no_grad():
        assert torch.equal(probe(x)[probe.results[""]], model(x))


@pytest.mark.parametrize("capture", ["auto", "trace", "export"])
@pytest.mark.parametrize("batch", [1, 2])
def test_what_says_n_is_right_on_every_batch(batch, capture):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten()).eval()
    probe = build_probe(model, noise(batch, 3, 8, 8), capture=capture)
    assert probe.inputs[0].shape == ("N", 3, 8, 8)
    for other in (1, 2, 5):
        x = noise(other, 3, 8, 8)
        with torch.no_grad():
            assert torch.equal(probe(x)[probe.results[""]], model(x))


class PoolingAll(nn.Module):
    def forward(self, x):
        return F.avg_pool2d(x, (int(x.shape[2]), int(x.shape[3])))


def test_a_size_that_the_capture_would_fix_is_an_error_where_it_is_to_stay_open():
    assert build_probe(PoolingAll(), noise(2, 3, 8, 8), capture="export").outputs[0].shape == ("N", 3, 1, 1)
    with pytest.raises(ModelError, match="axis 2 of x as the plain number 8"):
        build_probe(PoolingAll(), noise(2, 3, 8, 8), capture="export", dynamic_size=True)


def test_a_batch_stays_open_where_a_tensor_is_made_on_a_named_device():
    """Without data it can't be joined to one of no device."""

    class Net(nn.Module):
        def forward(self, x):
            return torch.cat((x, torch.zeros(x.shape[0], 1, 8, 8, device="cpu")), dim=1)

    probe = build_probe(Net().eval(), noise(2, 3, 8, 8))
    assert [each.shape for each in probe.outputs if each.operation == "torch.cat"] == [("N", 4, 8, 8)]


def test_a_probes_weights_keep_their_values_when_its_sizes_are_observed():
    model = OneConv(lambda conv, x: conv(x)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    probe = build_probe(model, noise(2, 3, 8, 8), dynamic_size=True)
    assert {value.data_ptr() for value in probe.module.parameters()} == {
        value.data_ptr() for value in model.parameters()
    }
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
