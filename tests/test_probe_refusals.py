"""Models that no probe can stand for, each told in a line or two that name the place."""

import sys

import pytest
import torch
from torch import nn

from probe import ModelError, build_probe


class Net(nn.Module):
    """A convolution and a buffer, and what the test is about."""

    def __init__(self, body) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c = nn.Conv2d(3, 4, 3, padding=1)
        self.register_buffer("avg", torch.zeros(4))
        self.body = body

    def forward(self, x):
        return self.body(self, x)


def build(body, example=None):
    return build_probe(Net(body), torch.zeros(1, 3, 8, 8) if example is None else example)


def test_a_model_that_keeps_a_state_in_eval_is_told_which_buffer():
    def body(self, x):
        y = self.c(x)
        self.avg.lerp_(y.mean((0, 2, 3)), 0.1)
        return y, y - self.avg.view(1, -1, 1, 1)

    with pytest.raises(ModelError, match="Net writes to its buffer avg each time"):
        build(body)


def test_a_buffer_that_is_filled_once_and_left_so_is_no_state():
    def body(self, x):
        self.avg.fill_(2)
        return self.c(x) * self.avg.view(1, -1, 1, 1)

    probe = build(body)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(probe(x)["mul"], probe(x)["c"] * 2)


def test_clipping_weights_in_forward_is_refused():
    def body(self, x):
        self.c.weight.data.clamp_(-0.05, 0.05)
        return self.c(x)

    with pytest.raises(ModelError, match=r"writes to its parameter c.weight .*refusals\.py:\d+"):
        build(body)


def test_what_is_summed_up_in_a_tensor_of_forwards_own_begins_anew_in_each_run():
    def body(self, x):
        total = torch.zeros(1, 4, 8, 8)
        total += self.c(x)
        return total

    x = torch.randn(1, 3, 8, 8)
    probe = build(body, x)
    (result,) = probe.results.values()
    assert torch.equal(probe(x)[result], probe(x)[result])


def test_a_forward_that_ends_the_process_is_told():
    with pytest.raises(ModelError, match=r"forward ends the process \(sys.exit\) \(.*refusals\.py:\d+\)"):
        build(lambda self, x: sys.exit(0))
