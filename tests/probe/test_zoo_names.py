"""The whole zoo's names: torchvision's own lists for its 80 classifiers, and a model for each family of timm.

Tracing alone gives the names: the weights are never made, and no model runs.
"""

import math
import pkgutil

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.models.feature_extraction import NodePathTracer, _get_leaf_modules_for_ops

from probe.capture.fx_trace import trace
from probe.model.example import bind_example
from proofs.zoo_models import TIMM_FAMILIES, TIMM_NOT_CONVOLUTIONAL, TIMM_TRANSFORMERS, zoo_models
from runtime.artifact.selection import select_outputs

CLASSIFIERS = torchvision.models.list_models(module=torchvision.models)


class WithoutWeights(TorchFunctionMode):
    """Makes models whose weights take neither memory nor time: what `torch.empty` makes stays on the meta device.

    Under `torch.device("meta")` the RegNets can't be made, which read their widths from a tensor.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}) | ({"device": "meta"} if func is torch.empty else {}))


def make(name):
    options = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    with WithoutWeights():
        return torchvision.models.get_model(name, weights=None, **options).eval()


def named_by_torchvision(model, *, closed_ops=False):
    """Return name to fx node, less the parameters, with the blocks of torchvision.ops opened as ours are, or closed.

    Closed is torchvision's default.
    """
    tracer = (
        NodePathTracer(autowrap_modules=(math, torchvision.ops), leaf_modules=_get_leaf_modules_for_ops())
        if closed_ops
        else NodePathTracer(autowrap_modules=(math,), leaf_modules=[])
    )
    tracer.trace(model)
    named = {name: node for node, name in tracer.node_to_qualname.items() if node.op != "get_attr"}
    assert len(named) == sum(node.op != "get_attr" for node in tracer.node_to_qualname)
    return named


def our_candidates(model):
    """Return what our outputs are chosen from, the input and the steps that give no tensor included."""
    traced = trace(model, bind_example(model, (torch.empty(1, 3, 224, 224, device="meta"),), {}))
    return [origin for node, origin in traced.origins.items() if node.op not in {"get_attr", "output"}]


def test_there_are_80_classifiers():
    assert len(CLASSIFIERS) == 80
    assert len(zoo_models()) == len(set(zoo_models()))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_names_are_torchvisions_whole_list(name):
    model = make(name)
    candidates = our_candidates(model)
    assert [each.name for each in candidates] == list(named_by_torchvision(model))
    # The names of torchvision's default list are accepted too: each is one of ours, or the path of a closed block,
    # which stands for the block's last output.
    names = {each.name for each in candidates}
    for default, node in named_by_torchvision(model, closed_ops=True).items():
        if default in names:
            continue
        assert node.op == "call_module"
        if default == node.target:
            (chosen,) = select_outputs(candidates, [default])
            assert chosen.name.startswith(f"{default}.")
        else:
            # Later calls of one block: Swin's stochastic depth is called twice. No path stands for the second alone.
            assert default.rpartition("_")[0] == node.target
            assert isinstance(model.get_submodule(node.target), torchvision.ops.StochasticDepth)


def test_a_name_that_differs_would_be_noticed():
    class Steps(nn.Module):
        def __init__(self, count):
            super().__init__()
            self.count = count

        def forward(self, x):
            for _ in range(self.count):
                x = x.relu()
            return x

    assert [each.name for each in our_candidates(Steps(2))] == list(named_by_torchvision(Steps(2)))
    assert [each.name for each in our_candidates(Steps(1))] != list(named_by_torchvision(Steps(2)))


def timm_families():
    """Return family to its models, in all modules of `timm.models`, whether or not `zoo_models` knows them."""
    families = {}
    for module in pkgutil.iter_modules(timm.models.__path__):
        models = timm.list_models(module=module.name)
        if models and not module.name.startswith("_"):
            families[module.name] = models
    return families


def test_each_family_of_timm_has_a_model_or_is_left_out_by_name():
    families = timm_families()
    assert set(families) == set(TIMM_FAMILIES) | TIMM_NOT_CONVOLUTIONAL
    assert not set(TIMM_FAMILIES) & TIMM_NOT_CONVOLUTIONAL
    for family, name in TIMM_FAMILIES.items():
        assert name in families[family]
    assert all(any(name in families[family] for family in TIMM_NOT_CONVOLUTIONAL) for name in TIMM_TRANSFORMERS)
