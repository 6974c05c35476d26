"""What a model is called with: parameters of any kind, masks, scripted parts; what can't be taken is told in words."""

import pytest
import torch
from torch import nn

from export import export_artifact
from probe import build_probe
from runtime import open_artifact, verify
from runtime.artifact.errors import ModelError


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


NEWER = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 15),
    reason="torch.export 2.11 takes no sizes for **kwargs, by name or nested",
)


class Rest(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x, *rest, **more):
        for other in (*rest, *more.values()):
            x = x + other
        return self.conv(x)


@pytest.mark.parametrize(
    ("count", "keywords", "names"),
    [(1, [], ["x"]), (3, [], ["x", "rest", "rest_1"]), pytest.param(1, ["a", "b"], ["x", "a", "b"], marks=NEWER)],
)
def test_inputs_given_for_the_rest_of_a_signature_are_inputs_of_the_probe(count, keywords, names):
    model = Rest().eval()
    args = [noise(2, 3, 8, 8) for _ in range(count)]
    kwargs = {name: noise(2, 3, 8, 8) for name in keywords}
    probe = build_probe(model, *args, kwargs=kwargs)
    assert [spec.name for spec in probe.inputs] == names
    with torch.no_grad():
        assert torch.equal(probe(*args, *kwargs.values())["conv"], model(*args, **kwargs))


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_one_tensor_may_be_given_twice(capture):
    class Sum(nn.Module):
        def forward(self, x, y):
            return x * 2 + y

    x = noise(2, 3, 8, 8)
    probe = build_probe(Sum(), x, x, capture=capture)
    assert [spec.shape for spec in probe.inputs] == [("N", 3, 8, 8)] * 2
    assert torch.equal(probe(x, x + 1)["add"], x * 2 + (x + 1))


def test_tracing_tells_that_it_does_not_take_them():
    with pytest.raises(ModelError, match=r"forward takes x, \*rest, \*\*more, but the example passes x, rest_0"):
        build_probe(Rest(), noise(2, 3, 8, 8), noise(2, 3, 8, 8), capture="trace")


class Masked(nn.Module):
    def forward(self, x, mask):
        return x.masked_fill(mask, 0) * 2


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_mask_follows_a_dynamic_size(tmp_path, capture):
    mask = noise(1, 1, 32, 32) > 0
    probe = build_probe(Masked(), noise(1, 3, 32, 32), mask, capture=capture, dynamic_size=True)
    assert probe.inputs[1].shape == ("N", 1, "H", "W")
    larger = probe.noise_input(batch=3, larger=True)[1]
    assert larger.shape[0] == 3
    assert torch.equal(larger[:1, :, :32, :32], mask)
    assert verify(open_artifact(export_artifact(probe, tmp_path / "a"))).passed


def test_an_input_without_an_axis_is_refused_with_what_to_give():
    with pytest.raises(ModelError, match=r"can't be a scalar.*\nPass torch.tensor\(\[2.0\]\)"):
        build_probe(Rest(), noise(2, 3, 8, 8), torch.tensor(2.0))


def test_parts_that_are_scripted_are_passed_over_where_parts_are_proposed():
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
            self.head = nn.Sequential(nn.Conv2d(4, 2, 1))

        def forward(self, x):
            x = self.scripted(x)
            return self.head(x) if x.sum() > 0 else x

    with pytest.raises(ModelError, match="These parts of it can be probed: head"):
        build_probe(Deciding(), noise(1, 3, 8, 8))
