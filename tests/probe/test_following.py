"""A probe computes what its model computes now: after training, other weights, replaced tensors; or it says so."""

import copy
import warnings

import pytest
import torch
from torch import nn

import layerprobe as lp

IMAGE = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Weights, batch norm's statistics, a buffer and a plain tensor of its own."""

    def __init__(self, norm: str = "norm") -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3), norm: nn.BatchNorm2d(4)})
        self.register_buffer("shift", torch.rand(1, 4, 1, 1))
        self.scale = torch.rand(1, 4, 1, 1)

    def forward(self, x):
        conv, norm = self.blocks.values()
        return torch.relu(norm(conv(x)) * self.scale + self.shift)


def _train(model):
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(IMAGE + 2).mean().backward()
        optimizer.step()
    model.eval()


def _other(model):
    torch.manual_seed(9)
    other = Net().eval()
    _train(other)
    return other


def _replace(model):
    conv, norm = model.blocks.values()
    conv.weight = nn.Parameter(conv.weight.detach() * 3)
    norm.running_mean = norm.running_mean + 1
    model.scale = torch.full((1, 4, 1, 1), 2.0)


CHANGES = {
    "training": _train,
    "load_state_dict": lambda model: model.load_state_dict(_other(model).state_dict()),
    "load_state_dict by assignment": lambda model: model.load_state_dict(_other(model).state_dict(), assign=True),
    "in place": lambda model: [each.data.add_(1) for each in (*model.buffers(), model.scale) if each.ndim],
    "replaced": _replace,
    "no change": lambda model: None,
}


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_probe_follows_its_model(change, capture):
    torch.manual_seed(0)
    model = Net().eval()
    probe = lp.build_probe(model, IMAGE, capture=capture)
    averaged = lp.average_probe(probe)
    CHANGES[change](model)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        results, means = probe(IMAGE), averaged(IMAGE)
        assert torch.equal(results["relu"], model(IMAGE))
        assert torch.equal(means["relu"], model(IMAGE).mean(1, keepdim=True))
        rebuilt = lp.build_probe(model, IMAGE, capture=capture)
        assert all(torch.equal(tensor, results[name]) for name, tensor in rebuilt(IMAGE).items())
    assert probe.weights == rebuilt.weights


def test_a_probe_follows_modules_whose_names_are_no_identifiers():
    model = Net(norm="class").eval()
    probe = lp.build_probe(model, IMAGE)
    _replace(model)
    assert torch.equal(probe(IMAGE)["relu"], model(IMAGE))


def _new_norm(model):
    model.blocks["norm"] = nn.BatchNorm2d(4).eval()


@pytest.mark.parametrize("change", [nn.Module.half, lambda model: model.to("meta"), _new_norm])
def test_what_cannot_be_followed_is_said_once_and_the_earlier_values_stay(change):
    model = Net().eval()
    probe = lp.build_probe(model, IMAGE)
    before = probe(IMAGE)["relu"]
    change(model)
    with pytest.warns(lp.StaleProbeWarning, match=r"Net\'s .* was replaced since its probe.*\nBuild the probe ag"):
        assert torch.equal(probe(IMAGE)["relu"], before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probe(IMAGE)


def test_a_copy_of_a_probe_keeps_its_weights():
    model = Net().eval()
    probe = lp.build_probe(model, IMAGE)
    kept, before = copy.deepcopy(probe), probe(IMAGE)["relu"]
    _replace(model)
    assert torch.equal(kept(IMAGE)["relu"], before)
    assert not torch.equal(probe(IMAGE)["relu"], before)


def test_a_probe_that_was_converted_follows_no_more_and_says_nothing():
    model = Net().eval()
    probe = lp.build_probe(model, IMAGE)
    probe.module.double()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe(IMAGE.double())["relu"].dtype == torch.float64


class Counts(nn.Module):
    """Counts its runs, on which its results don't depend, and fills a buffer in each."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("runs", torch.zeros((), dtype=torch.long))
        self.register_buffer("grid", torch.zeros(12))

    def forward(self, x):
        self.runs.add_(1)
        self.grid.copy_(torch.arange(12.0))
        return self.norm(x) + self.grid


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_forward_that_writes_to_buffers_changes_the_models_in_no_run_of_the_probe(capture):
    model = Counts().eval()
    probe = lp.build_probe(model, IMAGE, capture=capture)
    model.norm.running_mean.add_(1)
    for _ in range(2):
        results = probe(IMAGE)
    assert (int(model.runs), float(model.grid.sum())) == (0, 0.0)
    assert torch.equal(results["add"], model(IMAGE))


def test_a_model_made_in_inference_mode_is_followed():
    with torch.inference_mode():
        model = Net().eval()
        probe = lp.build_probe(model, IMAGE)
        model.blocks["norm"].running_mean.add_(1)
        assert torch.equal(probe(IMAGE)["relu"], model(IMAGE))
