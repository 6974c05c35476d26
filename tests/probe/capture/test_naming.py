"""Output names: torchvision's own, and unique where torchvision's are not."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import get_graph_node_names

from probe import build_probe
from probe.capture.naming import NodeNamer


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_outputs_and_skipped_nodes_are_torchvisions_whole_list(name):
    # test_zoo_names.py compares the lists of all classifiers.
    options = {"init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, weights=None, **options).eval()
    _, expected = get_graph_node_names(model, suppress_diff_warning=True)
    probe = build_probe(model, torch.zeros(1, 3, 96, 96))
    skipped = {node.name for node in probe.skipped}
    assert [output.name for output in probe.outputs] == [node for node in expected if node not in skipped]
    assert skipped <= set(expected)


class _MisleadingNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cnn2 = nn.Conv2d(3, 3, 1)
        self.cnn2_1 = nn.Conv2d(3, 3, 1)
        self.a_5_7 = nn.Conv2d(3, 3, 1)
        self.a_3_9 = nn.Conv2d(3, 3, 1)
        self.a = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        for module in (self.cnn2, self.cnn2_1, self.cnn2, self.a_5_7, self.a_3_9, self.a, self.a, self.a):
            x = module(x)
        return x


def test_names_stay_unique_where_modules_are_called_like_an_index():
    model = _MisleadingNames()
    probe = build_probe(model, torch.zeros(1, 3, 8, 8))
    names = [output.name for output in probe.outputs]
    assert len(names) == len(set(names)) == 8
    assert names[:3] == ["cnn2", "cnn2_1", "cnn2_2"]
    # The path tells which module it really was.
    assert [output.module_path for output in probe.outputs[:3]] == ["cnn2", "cnn2_1", "cnn2"]
    x = torch.randn(2, 3, 8, 8)
    outputs = probe(x)
    assert torch.equal(outputs["cnn2_1"], model.cnn2_1(model.cnn2(x)))


def test_torchvisions_rule_would_repeat_a_name_there():
    _, names = get_graph_node_names(_MisleadingNames())
    assert len(names) > len(set(names))


def test_the_index_of_an_operation_counts_within_its_module():
    name = NodeNamer()
    given = ["layer1.add", "layer1.add_1", "layer2.add_2", "layer2.add_3", "relu", "relu"]
    assert [name(each) for each in given] == [
        "layer1.add",
        "layer1.add_1",
        "layer2.add",
        "layer2.add_1",
        "relu",
        "relu_1",
    ]
