"""A probe is built in any surroundings, and leaves them as they were: random generators, inference mode, devices."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import layerprobe as lp

IMAGE = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Draws(nn.Module):
    """Draws from each generator; its results depend on none of them unless it is `noisy`."""

    def __init__(self, noisy: bool) -> None:
        super().__init__()
        self.conv, self.noisy = nn.Conv2d(3, 4, 3), noisy

    def forward(self, x):
        if not self.noisy:
            torch.manual_seed(3)
        random.random(), np.random.rand()
        return self.conv(x) + torch.rand(1)


@pytest.mark.parametrize("noisy", [False, True], ids=["built", "refused"])
def test_the_state_of_random_generators_is_kept(noisy):
    def state():
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1:3]

    model = Draws(noisy).eval()
    before = str(state())
    if noisy:
        with pytest.raises(lp.ModelError):
            lp.build_probe(model, IMAGE)
    else:
        lp.build_probe(model, IMAGE)
    assert str(state()) == before


def _net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_model_made_in_inference_mode_is_probed_and_drawn(capture):
    with torch.inference_mode():
        model = _net()
    probe = lp.build_probe(model, IMAGE, capture=capture)
    with torch.inference_mode():
        assert torch.equal(probe(IMAGE)["2"], model(IMAGE))
    lp.show(model, IMAGE)


def test_a_probe_is_built_where_new_tensors_have_no_values():
    model = _net()
    with torch.device("meta"):
        probe = lp.build_probe(model, IMAGE)
    assert torch.equal(probe(IMAGE)["2"], model(IMAGE))
