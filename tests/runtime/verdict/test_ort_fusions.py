"""Which operations run as one kernel, and which of these groups extra outputs prevent, on models small enough to know.

The models are written as ONNX, so that what they hold is all that is there. Channels come in 32s: the CPU's kernels on
blocks of channels take nothing narrower.
"""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.artifact.errors import ArtifactError, RunnerUnavailable
from runtime.artifact.manifest import ONNX_FILE
from runtime.verdict.graph_values import GraphValues
from runtime.verdict.ort_fusions import Fusion, fusions, optimised_graph, prevented_fusions

LEVELS = ("disabled", "basic", "extended", "all")
C = 32


@dataclass
class Network:
    """A model in the making: each node is named after the value it makes."""

    shape: tuple[int | str, ...] = (1, C, 8, 8)

    def __post_init__(self):
        self.nodes, self.weights, self.random = [], [], np.random.default_rng(0)

    def weight(self, name, *shape):
        self.weights.append(numpy_helper.from_array(self.random.uniform(0.5, 1.5, shape).astype(np.float32), name))
        return name

    def number(self, name, value):
        self.weights.append(numpy_helper.from_array(np.array(value), name))
        return name

    def node(self, operation, name, *inputs, **attributes):
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name, **attributes))
        return name

    def conv(self, name, x, bias=False):
        inputs = [x, self.weight(f"{name}.weight", C, C, 3, 3), *([self.weight(f"{name}.bias", C)] if bias else [])]
        return self.node("Conv", name, *inputs, pads=[1, 1, 1, 1], kernel_shape=[3, 3])

    def bn(self, name, x):
        weights = [self.weight(f"{name}.{part}", C) for part in ("weight", "bias", "mean", "var")]
        return self.node("BatchNormalization", name, x, *weights)

    def linear(self, name, x, features):
        product = self.node("MatMul", f"{name}/MatMul::0", x, self.weight(f"{name}.weight", features, features))
        return self.node("Add", name, product, self.weight(f"{name}.bias", features))

    def model(self, *results):
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def probed(model):
    """Return the model with every value as an output."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    shown = {output.name for output in probe.graph.output}
    names = [name for node in probe.graph.node for name in node.output if name not in shown]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    return onnx.shape_inference.infer_shapes(probe)


def found(model, level):
    """Return the groups of a model as tuples of names, after checking what holds for every partition."""
    optimised = optimised_graph(model.SerializeToString(), level=level)
    groups = fusions(model.graph, optimised)
    operations = {node.name: node.op_type for node in model.graph.node}
    members = [name for group in groups for name in group.nodes]
    assert len(members) == len(set(members)), "a node is in two groups"
    for group in groups:
        assert len(group.nodes) > 1
        assert group.operations == tuple(operations[name] for name in group.nodes)
    return [group.nodes for group in groups]


def has_block_kernels(model):
    graph = optimised_graph(model.SerializeToString())
    return any(node.domain == "com.microsoft.nchwc" for node in graph.node)


def stem():
    net = Network()
    net.node("Relu", "relu", net.bn("bn", net.conv("conv", "x")))
    return net.model("relu")


def residual():
    net = Network()
    first = net.node("Relu", "relu1", net.bn("bn1", net.conv("conv1", "x")))
    second = net.bn("bn2", net.conv("conv2", first))
    net.node("Relu", "relu2", net.node("Add", "add", second, first))
    third = net.bn("bn3", net.conv("conv3", "relu2"))
    net.node("Relu", "relu3", net.node("Add", "add2", third, "relu2"))
    return net.model("relu3")


def squeeze_excitation():
    net = Network()
    pooled = net.node("GlobalAveragePool", "pool", "x")
    reduced = net.node("Relu", "activation", net.conv("fc1", pooled, bias=True))
    scale = net.node("HardSigmoid", "scale", net.conv("fc2", reduced, bias=True), alpha=1 / 6)
    net.node("Mul", "mul", scale, "x")
    return net.model("mul")


def mlp(batch):
    """Return LayerNorm, Linear, GELU, Linear and the sum of a transformer's block, on 3 axes."""
    net = Network(shape=(batch, 5, C))
    normed = net.node("LayerNormalization", "ln", "x", net.weight("ln.weight", C), net.weight("ln.bias", C), axis=-1)
    hidden = net.node("Gelu", "gelu", net.linear("fc1", normed, C))
    net.node("Add", "add", net.linear("fc2", hidden, C), "x")
    return net.model("add")


def gelu_in_steps():
    net = Network(shape=(1, 5, C))
    net.node("Div", "div", "x", net.number("root", np.float32(2**0.5)))
    net.node("Erf", "erf", "div")
    net.node("Add", "plus", "erf", net.number("one", np.float32(1)))
    net.node("Mul", "times", "x", "plus")
    net.node("Mul", "half", "times", net.number("0.5", np.float32(0.5)))
    return net.model("half")


CONV_BN_RELU = [("conv", "bn", "relu")]


@pytest.mark.parametrize(
    ("level", "expected"),
    [("disabled", []), ("basic", [("conv", "bn")]), ("extended", CONV_BN_RELU), ("all", CONV_BN_RELU)],
)
def test_a_convolution_takes_over_its_batch_norm_and_then_its_relu(level, expected):
    assert found(stem(), level) == expected


def test_the_operations_are_told_beside_the_names():
    model = stem()
    (group,) = fusions(model.graph, optimised_graph(model.SerializeToString()))
    assert group == Fusion(("Conv", "BatchNormalization", "Relu"), ("conv", "bn", "relu"))


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("disabled", []),
        ("basic", [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")]),
        ("extended", [("conv1", "bn1", "relu1"), ("conv2", "bn2"), ("conv3", "bn3")]),
        (
            "all",
            [("conv1", "bn1", "relu1"), ("conv2", "bn2", "add", "relu2"), ("conv3", "bn3", "add2", "relu3")],
        ),
    ],
)
def test_kernels_on_blocks_also_take_over_the_sum_behind_a_residual_block(level, expected):
    if level == "all" and not has_block_kernels(residual()):
        pytest.skip("this CPU has no kernels on blocks of channels")
    assert found(residual(), level) == expected


@pytest.mark.parametrize("level", LEVELS)
def test_convolutions_take_over_a_hard_sigmoid(level):
    expected = {"extended": [("fc1", "activation"), ("fc2", "scale")], "all": [("fc1", "activation"), ("fc2", "scale")]}
    assert found(squeeze_excitation(), level) == expected.get(level, [])


@pytest.mark.parametrize("level", LEVELS)
def test_a_gelu_takes_over_the_bias_before_it(level):
    """Where the batch size is open, ONNX Runtime keeps product and bias apart."""
    assert found(mlp("N"), level) == ([("fc1", "gelu")] if level in {"extended", "all"} else [])


@pytest.mark.parametrize("level", LEVELS)
def test_a_linear_layer_of_known_size_is_one_kernel_between_two_reshapes(level):
    linear = [("fc1/MatMul::0", "fc1"), ("fc2/MatMul::0", "fc2")]
    assert found(mlp(1), level) == ([] if level == "disabled" else linear)


@pytest.mark.parametrize("level", LEVELS)
def test_a_gelu_written_out_becomes_one_kernel(level):
    assert found(gelu_in_steps(), level) == ([] if level == "disabled" else [("div", "erf", "plus", "times", "half")])


def test_a_batch_norm_and_relu_behind_no_convolution_are_one_kernel_on_blocks():
    net = Network()
    joined = net.node("Concat", "cat", net.conv("a", "x"), net.conv("b", "x"), axis=1)
    net.node("Add", "sum", net.node("MaxPool", "pool", joined, kernel_shape=[2, 2]), "pool")
    weights = [net.weight(f"bn.{part}", 2 * C) for part in ("weight", "bias", "mean", "var")]
    net.node("Relu", "relu", net.node("BatchNormalization", "bn", "sum", *weights))
    model = net.model("relu")
    if not has_block_kernels(model):
        pytest.skip("this CPU has no kernels on blocks of channels")
    assert found(model, "all") == [("bn", "relu")]


def test_a_linear_layer_on_two_axes_becomes_one_kernel():
    net = Network(shape=(4, C))
    net.linear("fc", "x", C)
    assert found(net.model("fc"), "basic") == [("fc/MatMul::0", "fc")]


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_only_eliminated_is_no_fusion(level):
    net = Network()
    net.node("Identity", "identity", "x")
    net.node("Dropout", "dropout", "identity")
    net.node("Reshape", "same", net.node("Sigmoid", "sigmoid", "dropout"), net.number("shape", [1, C, 8, 8]))
    net.node("Tanh", "tanh", net.node("Cast", "cast", "same", to=TensorProto.FLOAT))
    there = net.node("Transpose", "there", "tanh", perm=[0, 2, 3, 1])
    back = net.node("Transpose", "back", net.node("Sin", "sin", there), perm=[0, 3, 1, 2])
    net.node("Add", "zero", back, net.number("0", np.float32(0)))
    net.node("Cos", "cos", "zero")
    assert found(net.model("cos"), level) == []


@pytest.mark.parametrize("level", ["extended", "all"])
def test_what_is_eliminated_inside_a_fusion_does_not_count(level):
    net = Network()
    normed = net.bn("bn", net.node("Dropout", "dropout", net.conv("conv", "x")))
    net.node("Relu", "relu", net.node("Identity", "identity", normed))
    net.node("Transpose", "moved", "relu", perm=[0, 2, 3, 1])
    assert found(net.model("moved"), level) == CONV_BN_RELU


@pytest.mark.parametrize("level", ["extended", "all"])
def test_what_is_computed_twice_counts_once(level):
    net = Network()
    normed = net.bn("bn", net.conv("conv", "x"))
    first, again = net.node("Relu", "relu", normed), net.node("Relu", "relu_again", normed)
    net.node("Concat", "cat", net.node("Sin", "sin", first), net.node("Cos", "cos", again), axis=1)
    assert found(net.model("cat"), level) == CONV_BN_RELU


@pytest.mark.parametrize("level", LEVELS)
def test_nodes_on_sizes_and_constants_and_dead_branches_do_not_count(level):
    net = Network()
    size = net.node("Shape", "size::relu/Shape::0", "x")
    net.node("Mul", "size::relu/Mul::1", size, net.number("two", [1, 1, 1, 1]))
    net.node("Relu", "dead_relu", net.bn("dead_bn", net.conv("dead_conv", "x")))
    net.node("Exp", "exp", net.node("Neg", "negative", net.weight("constant", C)))
    net.node("Reshape", "reshaped", "x", "size::relu/Mul::1")
    net.node("MatMul", "matmul", "reshaped", net.weight("weight", 8, 8))
    assert found(net.model("matmul", "exp"), level) == []


@pytest.mark.parametrize("model", [stem, residual, squeeze_excitation, gelu_in_steps])
def test_every_fusion_is_prevented_where_every_value_is_an_output(model):
    assert found(model(), "all")
    assert found(probed(model()), "all") == []


def test_a_probe_of_some_values_keeps_the_other_fusions():
    plain, some = residual(), residual()
    some.graph.output.append(helper.make_empty_tensor_value_info("bn1"))
    some = onnx.shape_inference.infer_shapes(some)
    groups = [
        fusions(model.graph, optimised_graph(model.SerializeToString(), level="extended")) for model in (plain, some)
    ]
    assert [group.nodes for group in groups[1]] == [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")]
    assert prevented_fusions(*groups) == [Fusion(("Conv", "BatchNormalization", "Relu"), ("conv1", "bn1", "relu1"))]
    assert prevented_fusions(groups[0], groups[0]) == []


def test_an_artifacts_plain_model_fuses_what_its_probe_does_not(exported):
    artifact = exported("cnn11")
    probe, plain = artifact.path / ONNX_FILE, artifact.onnx(["fc"])
    groups = [
        fusions(onnx.load(probe).graph, optimised_graph(probe)),
        fusions(plain.model().graph, optimised_graph(plain.content, weights_folder=plain.folder)),
    ]
    prevented = prevented_fusions(groups[1], groups[0])
    assert prevented
    assert {name for group in prevented for name in group.nodes} <= set(artifact.manifest.output_names)


def test_weights_are_not_read_back():
    graph = optimised_graph(stem().SerializeToString(), level="disabled")
    (weight,) = (tensor for tensor in graph.initializer if tensor.name == "conv.weight")
    assert weight.data_location == TensorProto.EXTERNAL


def test_a_file_that_is_no_model_is_told(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=r"model\.onnx can't be optimised by ONNX Runtime"):
        optimised_graph(file)


def test_cuda_is_refused_where_it_does_not_work(monkeypatch):
    monkeypatch.setattr("runtime.verdict.ort_fusions.why_no_cuda", lambda: "there is no driver")
    with pytest.raises(RunnerUnavailable, match="there is no driver"):
        optimised_graph(b"", provider="cuda")


@pytest.mark.parametrize("operation", ["RandomNormalLike", "RandomUniformLike"])
def test_what_is_drawn_twice_is_two_values(operation):
    network = Network()
    network.node(operation, "first", "x")
    network.node(operation, "second", "x")
    values = GraphValues(network.model("first", "second").graph)
    assert values.value("second") == "second"
