"""What a probe returns is compared with its model's result: to the last bit, or as near as rounding lets it be."""

import pytest
import torch
from torch import nn

from probe import build_probe
from probe.faithfulness import compare_with_model
from probe.model.example import bind_example
from runtime.artifact.errors import CaptureError, ModelError


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_attention_has_a_fused_kernel_of_its_own_and_can_be_captured(capture):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)).eval()
    probe = build_probe(model, noise(2, 10, 16), capture=capture)
    with torch.no_grad():
        assert torch.allclose(probe(noise(3, 10, 16))["1"], model(noise(3, 10, 16)), atol=1e-5)


class Counting(nn.Module):
    """Its result depends on a buffer that it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count.add_(1)
        return self.conv(x) * self.count


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_model_with_state_is_refused_and_stays_as_it_was(capture):
    model = Counting().eval()
    with pytest.raises(ModelError, match="keeps state"):
        build_probe(model, noise(2, 3, 8, 8), capture=capture)
    assert model.count.item() == 0


class Given(nn.Module):
    """Gives what it is told to, whatever it is called with."""

    def __init__(self, change) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64)
        self.change = change

    def forward(self, x):
        return self.change(self.linear(x))


def compared(change, *, exact):
    torch.manual_seed(0)
    model = Given(lambda y: y).eval()
    x = noise(4, 64)
    call = bind_example(model, (x,), {})
    with torch.no_grad():
        returned = model(x)
    probe = Given(lambda y: {"y": change(y)}).eval()
    probe.linear = model.linear
    compare_with_model(model, probe, {"": "y"}, call, returned, exact=exact)


def test_a_rounding_passes_where_other_kernels_may_run_and_nowhere_else():
    compared(lambda y: y.clone(), exact=True)
    compared(lambda y: y * (1 + 1e-7), exact=False)
    with pytest.raises(CaptureError, match="something other than the model"):
        compared(lambda y: y * (1 + 1e-7), exact=True)


WRONG = {
    "a thousandth": lambda y: y * 1.001,
    "a little": lambda y: y * (1 + 2e-5),
    "one value": lambda y: y.index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(0.0)),
    "an offset": lambda y: y + 1e-4,
    "no numbers": lambda y: torch.full_like(y, torch.nan),
    "one that is none": lambda y: y.index_put((torch.tensor(0), torch.tensor(0)), torch.tensor(torch.nan)),
    "infinite": lambda y: y / 0,
    "half precision": lambda y: y.half().float(),
    "another dtype": lambda y: y.double(),
    "another shape": lambda y: y[:1],
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("exact", [True, False])
def test_what_is_truly_different_never_passes(change, exact):
    with pytest.raises(CaptureError, match="something other than the model"):
        compared(change, exact=exact)


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_result_without_numbers_is_not_taken_for_zeros(capture):
    class Root(nn.Module):
        def forward(self, x):
            return torch.sqrt(x - 100)

    model = Root()
    probe = build_probe(model, noise(2, 3, 4, 4), capture=capture)
    assert probe(noise(2, 3, 4, 4))["sqrt"].isnan().all()
    hooked = Root()
    hooked.register_forward_hook(lambda module, inputs, output: output.nan_to_num())
    with pytest.raises(ModelError, match="something other than the model"):
        build_probe(hooked, noise(2, 3, 4, 4), capture="trace")
