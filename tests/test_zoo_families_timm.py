"""A small model of each of timm's convolutional families is probed, on small images where it takes them.

Beside `test_zoo_families.py`, so that the two run at the same time. `make zoo` takes these models the whole way.
"""

import pytest

from probe import build_probe, load_model
from proofs.zoo import returns_what_the_model_does
from proofs.zoo_models import TIMM_FAMILIES

SLOW = frozenset(
    {
        *("inception_resnet_v2", "inception_v4", "mobilenetv5", "nasnet", "pnasnet", "vgg"),  # over 40 million weights
        *("efficientvit_msra", "mvitv2", "tiny_vit", "twins"),  # torch.export takes five seconds and more
    }
)
"""Families whose model is left to `make zoo`."""

ONE_SIZE = frozenset(
    {
        *("byoanet", "coat", "efficientformer", "efficientformer_v2", "gcvit"),
        *("levit", "maxxvit", "visformer", "vitamin", "volo"),
    }
)
"""Families that take no other images than those they were made for."""

LEAST_SIZE = dict.fromkeys(("inception_resnet_v2", "inception_v3", "inception_v4"), 75)

EXPORTED = frozenset({"cpubone", "efficientvit_mit", "mobilevit"})
"""Families that symbolic tracing can't follow."""


@pytest.mark.parametrize("family", sorted(TIMM_FAMILIES.keys() - SLOW))
def test_the_probe_returns_what_the_model_does(family):
    size = LEAST_SIZE.get(family, 64)
    loaded = load_model(f"timm:{TIMM_FAMILIES[family]}", input_size=() if family in ONE_SIZE else (size, size))
    probe = build_probe(loaded.module, *loaded.example)
    assert probe.capture == ("export" if family in EXPORTED else "trace"), probe.capture_reason
    assert returns_what_the_model_does(loaded.module, probe)
