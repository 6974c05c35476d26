"""The axes are followed through an ONNX file's operators."""

import warnings

import pytest
import torch
from onnx_making import constant, node, save, value, weight
from torch import nn

from probe.onnx_model.loading import load_onnx
from runtime.artifact.manifest import TokenGrid

IMAGE = value("x", "n", 3, 8, 12)


@pytest.fixture
def layouts(tmp_path):
    """Return the layouts of a file's outputs, by name."""

    def follow(nodes, weights=(), given=IMAGE, opset=17):
        last = nodes[-1].output[0]
        probe = load_onnx(save(tmp_path / "theirs.onnx", nodes, [given], [last], weights, opset=opset)).probe
        return {output.name: output.layout for output in probe.outputs}

    return follow


def test_a_convolutional_network_stays_in_its_layout(layouts):
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("BatchNormalization", ["c", *["v"] * 4], ["b"]),
        node("Relu", ["b"], ["r"]),
        node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2]),
        node("Add", ["m", "m"], ["s"]),
        node("GlobalAveragePool", ["s"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "head"], ["y"]),
    ]
    weights = [weight("w", 4, 3, 3, 3), constant("v", [1] * 4, "float32"), weight("head", 4, 5)]
    assert layouts(nodes, weights) == {**dict.fromkeys("cbrmsg", "NCHW"), "f": "NC", "y": "NC"}


def test_channels_last_are_followed_there_and_back(layouts):
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w"], ["c"]),
        node("Transpose", ["c"], ["u"], perm=[0, 2, 3, 1]),
        node("Add", ["u", "bias"], ["a"]),
        node("ReduceMean", ["a"], ["p"], axes=[1, 2], keepdims=0),
        node("MatMul", ["p", "head"], ["y"]),
    ]
    weights = [weight("w", 4, 3, 3, 3), weight("bias", 4), weight("head", 4, 2)]
    assert layouts(nodes, weights, value("x", "n", 8, 8, 3)) == {
        "t": "NCHW", "c": "NCHW", "u": "NHWC", "a": "NHWC", "p": "NC", "y": "NC"
    }  # fmt: skip


def test_an_image_in_two_parts_that_are_joined_again_is_one(layouts):
    nodes = [
        node("Split", ["x"], ["top", "bottom"], axis=2),
        node("Concat", ["top", "bottom"], ["j"], axis=2),
        node("Slice", ["j", "one", "three", "one"], ["c"]),
        node("Pad", ["c", "pads"], ["p"]),
        node("Squeeze", ["p", "none"], ["q"]),
        node("Unsqueeze", ["q", "none"], ["y"]),
    ]
    numbers = [constant("one", [1]), constant("three", [2]), constant("pads", [0, 0, 1, 1, 0, 0, 1, 1])]
    found = layouts(nodes, [*numbers, constant("none", [1])])
    assert found == {
        "top": "NCHW", "bottom": "NCHW", "j": "NCHW", "c": "NCHW", "p": "NCHW", "q": "NHW", "y": "N?HW"
    }  # fmt: skip


def test_an_embedding_gives_tokens_their_features(layouts):
    nodes = [node("Gather", ["table", "x"], ["e"]), node("Add", ["e", "places"], ["y"])]
    weights = [weight("table", 10, 4), weight("places", 7, 4)]
    assert layouts(nodes, weights, value("x", "n", 7, dtype="int64")) == {"e": "N?C", "y": "N?C"}


class TinyViT(nn.Module):
    """Patches of 2, a class token, places, one block of attention."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 2, 2)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.places = nn.Parameter(torch.zeros(1, 25, 8))
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        q, k, v = self.qkv(self.norm(x)).reshape(len(x), -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        x = x + ((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.head((x + self.mlp(x))[:, 0])


@pytest.mark.parametrize("dynamo", [True, False])
def test_the_tokens_of_a_vision_transformer_keep_their_grid(tmp_path, dynamo):
    file = tmp_path / "vit.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(TinyViT().eval(), (torch.zeros(1, 3, 8, 12),), str(file), dynamo=dynamo)
    probe = load_onnx(file).probe
    patches = [output for output in probe.outputs if output.shape == (1, 24, 8)]
    assert {(each.layout, each.tokens) for each in patches} == {("NLC", TokenGrid(0, 4, 6, 0))}
    tokens = [output for output in probe.outputs if output.shape == (1, 25, 8)]
    assert len(tokens) == 8
    assert {(each.layout, each.tokens) for each in tokens} == {("NLC", TokenGrid(1, 4, 6, 0))}
    assert probe.outputs[-1].layout == "NC"
