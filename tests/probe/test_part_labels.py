"""What is taken of a tuple is labelled as what computed it, with that one's line: topk, and not getattr."""

import inspect

import pytest
import torch
from torch import nn

import layerprobe as lp


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        attended = self.attention(x, x, x)
        found = torch.topk(attended[0], 2, 1)
        first, second = found.values.chunk(2, 1)
        rows = first[:, 0]
        return rows + second[:, 0]


BEGIN = inspect.getsourcelines(Parts.forward)[1]


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_part_has_the_label_and_the_line_of_what_computed_it(capture):
    probe = lp.build_probe(Parts().eval(), torch.rand(2, 5, 8), capture=capture)
    assert [(each.label, each.source_line - BEGIN) for each in probe.outputs] == [
        ("MultiheadAttention", 1),
        ("topk", 2),
        ("chunk", 3),
        ("chunk", 3),
        ("getitem", 4),
        ("getitem", 5),
        ("add", 5),
    ]
    assert [each.name for each in probe.outputs if each.label == "topk"] == ["getattr"]
    only = lp.build_probe(Parts().eval(), torch.rand(2, 5, 8), capture=capture, operations=["topk"])
    assert "topk" in [each.label for each in only.outputs]


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_an_attribute_of_a_tensor_has_its_own_name(capture):
    class Turned(nn.Module):
        def forward(self, x):
            return x.mT * 2

    probe = lp.build_probe(Turned().eval(), torch.rand(2, 3, 4), capture=capture)
    assert [each.label for each in probe.outputs] == ["mT", "mul"]
