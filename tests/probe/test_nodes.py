"""`layerprobe nodes`: a tree for people, one document for machines."""

import json

import pytest
import torch

from probe import CNN2, build_probe, load_model
from probe.node_tree import node_tree

NET = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return x + self.conv(x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 3, 1)
        self.stages = nn.Sequential(Block(), nn.Sequential(nn.ReLU()))
        self.shared = Block()

    def forward(self, x):
        print("a word of the model's own")
        x = self.shared(self.stem(x))
        x = self.shared(self.stages(x))
        return x.view(-1, x.shape[1] * 64)
"""

TREE = """\
{net} (Net), outputs: 9, skipped: 4
name               label   shape          source     alias of      returned as
stem               Conv2d  N x 3 x 8 x 8  net.py:22
shared  Block
  shared.conv      Conv2d  N x 3 x 8 x 8  net.py:11
  shared.add       add     N x 3 x 8 x 8  net.py:11
stages  Sequential
  stages.0  Block
    stages.0.conv  Conv2d  N x 3 x 8 x 8  net.py:11
    stages.0.add   add     N x 3 x 8 x 8  net.py:11
  stages.1  Sequential
    stages.1.0     ReLU    N x 3 x 8 x 8  net.py:23
shared  Block
  shared.conv_1    Conv2d  N x 3 x 8 x 8  net.py:11
  shared.add_1     add     N x 3 x 8 x 8  net.py:11
view               view    N x 192        net.py:24  shared.add_1  the result

skipped:
x        an input of the model
getattr  a Python value (Size)
getitem  a Python value (int)
mul      a Python value (int)
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return f"{tmp_path}/net.py:Net"


def test_the_tree_shows_each_module_and_keeps_the_order_of_execution(net, layerprobe):
    outcome = layerprobe("nodes", net, "--input-size", 8, "--skipped")
    assert outcome.code == 0, outcome.err
    assert outcome.out == TREE.format(net=net)
    assert "a word of the model's own" in outcome.err


def test_a_part_of_the_tree_shows_only_what_was_asked_for(net, layerprobe):
    outcome = layerprobe(
        "nodes", net, "--input-size", 8, "--op", "conv2d", "--outputs", "s[!h]*", "--outputs", "shared"
    )
    assert outcome.out.splitlines() == [
        f"{net} (Net), outputs: 2 of 9, skipped: 4",
        "name               label   shape          source     alias of  returned as",
        "stem               Conv2d  N x 3 x 8 x 8  net.py:22",
        "stages  Sequential",
        "  stages.0  Block",
        "    stages.0.conv  Conv2d  N x 3 x 8 x 8  net.py:11",
    ]


def test_json_is_one_document_with_every_field(net, layerprobe):
    outcome = layerprobe("nodes", net, "--input-size", 8, "--json", "--outputs", "shared*")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert list(document) == [
        "format_version",
        "model",
        "inputs",
        "constants",
        "outputs",
        "skipped",
        "results",
        "capture",
        "capture_reason",
    ]
    assert document["format_version"] == 1
    assert document["model"] == net
    assert document["inputs"] == [{"name": "x", "shape": ["N", 3, 8, 8], "dtype": "float32"}]
    assert [output["name"] for output in document["outputs"]] == [
        "shared.conv",
        "shared.add",
        "shared.conv_1",
        "shared.add_1",
    ]
    assert document["outputs"][1] == {
        "name": "shared.add",
        "label": "add",
        "operation": "operator.add",
        "module_path": "shared",
        "source_file": "net.py",
        "source_line": 11,
        "shape": ["N", 3, 8, 8],
        "dtype": "float32",
        "layout": "NCHW",
        "tokens": None,
        "averaged": None,
        "alias_of": None,
        "computed_by": None,
    }
    assert document["skipped"][0] == {"name": "x", "reason": "an input of the model"}
    assert [node["name"] for node in document["skipped"]] == ["x", "getattr", "getitem", "mul"]
    assert document["results"] == {"": "view"}


def test_json_tells_of_a_whole_model_what_its_probe_does(layerprobe):
    document = json.loads(layerprobe("nodes", "cnn2", "--json").out)
    probe = build_probe(CNN2(), torch.zeros(1, 3, 64, 64))
    assert document["outputs"] == json.loads(json.dumps([output.model_dump() for output in probe.outputs]))


def test_every_line_of_an_output_holds_its_whole_name_and_can_be_given_back(layerprobe):
    model = "torchvision:mobilenet_v3_small"
    probe = build_probe(load_model(model).module, torch.zeros(1, 3, 224, 224))
    lines = layerprobe("nodes", model).out.splitlines()[2:]
    sourced = [line.split() for line in lines if ".py:" in line]
    assert [cells[0] for cells in sourced] == [output.name for output in probe.outputs]
    assert lines[0] == "features  Sequential"
    # On a pipe nothing is cut.
    assert sourced[0][-1].startswith("torchvision/models/mobilenetv3.py:")


def test_in_a_narrow_terminal_the_sources_lose_their_folders_and_the_names_nothing():
    probe = build_probe(CNN2(), torch.zeros(1, 3, 64, 64))
    wide = node_tree(probe.outputs, {})
    assert node_tree(probe.outputs, {}, width=max(map(len, wide))) == wide
    narrow = node_tree(probe.outputs, {}, width=max(map(len, wide)) - 1)
    assert [line.split()[0] for line in narrow[1:] if ".py:" in line] == [output.name for output in probe.outputs]
    assert all(" variants.py:" in line for line in narrow if ".py:" in line)


def test_layers_that_no_code_of_a_models_own_calls_have_no_source(tmp_path, layerprobe):
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 1))\n"
    )
    lines = layerprobe("nodes", f"{tmp_path}/net.py:make", "--input-size", 8).out.splitlines()
    assert lines[0].endswith("(Sequential), outputs: 1, skipped: 1")
    assert lines[2:] == ["0     Conv2d  N x 4 x 8 x 8                    the result"]


def test_what_the_model_returns_is_marked_with_its_key(tmp_path, layerprobe):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)\n"
        "    def forward(self, x):\n"
        "        y = self.stem(x)\n"
        "        return {'out': self.head(y), 'features': [y, y]}\n"
    )
    lines = layerprobe("nodes", f"{tmp_path}/net.py:Net", "--input-size", 8).out.splitlines()
    assert [line.split(maxsplit=10)[0] for line in lines[2:]] == ["stem", "head"]
    assert lines[1].endswith("  returned as")
    assert lines[2].endswith("  features.0, features.1")
    assert lines[3].endswith("  out")
