"""A probe in copy.deepcopy and pickle, as in a script that keeps it, or hands it to another process."""

import copy
import pickle

import pytest
import torch
from torch import nn

import layerprobe as lp

IMAGE = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A ReLU that overwrites what comes before it, a sum, and a layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.again = self.conv
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.again(self.relu(self.norm(self.conv(x)))) + x


def _probe(capture):
    torch.manual_seed(0)
    return lp.build_probe(Net().eval(), IMAGE, capture=capture)


def _same(one, other):
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_copy_does_all_that_the_probe_does(capture, tmp_path):
    probe = _probe(capture)
    copied = copy.deepcopy(probe)
    assert _same(copied(IMAGE), probe(IMAGE))
    assert _same(copied.only(["norm"])(IMAGE), probe.only(["norm"])(IMAGE))
    assert _same(lp.average_probe(copied)(IMAGE), lp.average_probe(probe)(IMAGE))
    assert copied.weights == probe.weights
    artifact = lp.open_artifact(lp.export_artifact(copied, tmp_path / "copied"))
    assert artifact.manifest.output_names == [output.name for output in probe.outputs]


def test_a_copy_of_a_probe_on_pixels_is_one():
    probe, _ = lp.on_pixels(_probe("trace"), lp.Preprocessing(resize=8, crop=(8, 8), mean=[0.5] * 3, std=[0.2] * 3))
    pixels = torch.full((1, 8, 8, 3), 7, dtype=torch.uint8)
    copied = copy.deepcopy(probe)
    assert _same(copied(pixels), probe(pixels))
    assert copied.weights == probe.weights


def test_a_copy_has_weights_of_its_own_each_once():
    probe = _probe("trace")
    copied, shallow = copy.deepcopy(probe), copy.copy(probe)
    before = probe(IMAGE)
    for parameter in copied.module.parameters():
        parameter.data.zero_()
    assert _same(probe(IMAGE), before)
    assert _same(shallow(IMAGE), before)
    # The graph that `only` cuts, and the model's own, are over the same weights as its module.
    assert not copied.only(["conv"])(IMAGE)["conv"].any()
    assert copied.module.get_parameter("conv.weight") is copied.traced.module.get_parameter("conv.weight")


def test_a_probe_says_how_to_keep_it_instead_of_being_pickled():
    with pytest.raises(lp.UsageError, match=r"The probe of Net can't be pickled: .*\nPickle its \.module"):
        pickle.dumps(_probe("trace"))


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_the_module_of_a_probe_is_pickled_and_stays_in_eval_mode(capture):
    probe = _probe(capture)
    read = pickle.loads(pickle.dumps(probe.module)).train()
    assert (read.training, type(read).__name__) == (False, "NetProbe")
    assert _same(read(IMAGE), probe(IMAGE))
