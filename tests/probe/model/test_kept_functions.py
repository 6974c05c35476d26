"""A forward that was replaced on an instance, and a hook, run the copy's modules, never the user's."""

import types
from functools import partial, wraps

import pytest
import torch
from torch import nn

from export import export_artifact
from probe import build_probe
from probe.model.shared_copy import shared_copy
from runtime import open_artifact, verify

IMAGE = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.block = nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())

    def forward(self, x, factor=1.0):
        return self.block(self.conv(x)) * factor


def _method(model):
    model.forward = types.MethodType(lambda self, x: self.block(self.conv(x)) + 1, model)


def _lambda(model):
    model.forward = lambda x: model.block(model.conv(x)) + 1


def _partial(model):
    model.forward = partial(model.forward, factor=2.0)


def _wrapped(model):
    own = model.forward

    @wraps(own)
    def forward(*given, **named):
        return own(*given, **named) + 1

    model.forward = forward


def _part(model):
    block = model.block
    block.forward = lambda x: block[1](block[0](x)) + 1


def _leaf(model):
    own = model.conv.forward
    model.conv.forward = lambda x: own(x) + 1


@pytest.mark.parametrize("patch", [_method, _lambda, _partial, _wrapped, _part, _leaf])
def test_a_replaced_forward_is_probed_under_the_modules_names(patch):
    model = Net().eval()
    patch(model)
    probe = build_probe(model, IMAGE)
    assert [output.name for output in probe.outputs][:3] == ["conv", "block.0", "block.1"]
    with torch.no_grad():
        assert torch.equal(probe(IMAGE)[probe.results[""]], model(IMAGE))
    if patch in (_part, _leaf):
        assert probe.capture == "trace"
    else:
        assert probe.capture_reason == "torch.fx can't trace Net: its forward was replaced on the instance"


def test_a_leaf_with_a_replaced_forward_is_exported(tmp_path):
    model = Net().eval()
    _leaf(model)
    assert verify(open_artifact(export_artifact(build_probe(model, IMAGE), tmp_path / "a")), trust=True).passed


def test_a_copy_runs_none_of_the_originals_modules():
    model = Net().eval()
    _lambda(model)
    model.conv.register_forward_hook(lambda _part, _given, result: model.block[0](result))
    copy = shared_copy(model)
    ran = []
    for part in model.modules():
        part.register_forward_pre_hook(lambda part, _given: ran.append(part))
    with torch.no_grad():
        copy(IMAGE)
    assert ran == []
