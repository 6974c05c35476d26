"""The ONNX file: valid, its outputs named and ordered as the probe's, and computing what the probe computes."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import nn

from export import to_onnx
from probe import build_probe
from probe.build import Capture

X = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def _run(model: ir.Model, x: torch.Tensor) -> dict[str, np.ndarray]:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x.numpy()}), strict=True))


def _assert_same(
    model: nn.Module, capture: Capture = "auto", rtol: float = 1e-4, atol: float = 1e-5
) -> dict[str, np.ndarray]:
    probe = build_probe(model, X, capture=capture)
    with torch.no_grad():
        expected = probe(X)
    outputs = _run(to_onnx(probe), X)
    assert list(outputs) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(outputs[name], tensor.numpy(), rtol=rtol, atol=atol, err_msg=name)
    return outputs


class _NamedLikeInternals(nn.Module):
    """Its modules are called like the values that torch.onnx makes up: conv2d, relu, val_0, clone."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.Conv2d(4, 4, 1)
        self.conv2d = nn.ReLU(inplace=True)
        self.val_0 = nn.BatchNorm2d(4)
        self.clone = nn.ReLU()

    def forward(self, x):
        return torch.flatten(self.clone(self.conv2d(self.val_0(self.relu(x)))), 1)


def test_outputs_named_like_values_of_the_exporter_do_not_collide():
    assert list(_assert_same(_NamedLikeInternals())) == ["relu", "val", "conv2d", "clone", "flatten"]


def test_one_tensor_under_two_names_keeps_both_right():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)
            self.dropout = nn.Dropout()
            self.identity = nn.Identity()

        def forward(self, x):
            return self.identity(self.dropout(self.conv(x)))

    outputs = _assert_same(Model())
    np.testing.assert_array_equal(outputs["conv"], outputs["identity"])


def test_an_output_that_is_the_input_itself_is_right():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.identity = nn.Identity()

        def forward(self, x):
            return self.identity(x) + 1

    np.testing.assert_array_equal(_assert_same(Model())["identity"], X.numpy())


def test_a_tensor_overwritten_in_place_is_exported_as_it_was_before():
    outputs = _assert_same(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)))
    assert outputs["1"].min() < 0 <= outputs["2"].min()


def test_two_equal_operations_stay_two_outputs():
    class Model(nn.Module):
        def forward(self, x):
            return torch.relu(x) + torch.relu(x)

    assert list(_assert_same(Model())) == ["relu", "relu_1", "add"]


def test_nodes_carry_name_and_source_and_no_path_of_the_exporting_machine():
    model = to_onnx(build_probe(_NamedLikeInternals(), X))
    node = next(node for node in model.graph if node.op_type == "Conv")
    assert node.name == "relu"
    file, _, line = node.metadata_props["layerprobe.source"].partition(":")
    assert file.endswith("test_onnx_conversion.py")
    assert not file.startswith("/")
    assert line.isdecimal()
    assert b"site-packages" not in ir.to_proto(model).SerializeToString()


def test_batch_norm_is_not_folded_and_equal_weights_stay_apart():
    model = to_onnx(build_probe(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)), X))
    assert [node.op_type for node in model.graph] == ["Conv", "BatchNormalization"]
    norm = list(model.graph)[1]
    assert [value.name for value in norm.inputs[1:]] == ["1.weight", "1.bias", "1.running_mean", "1.running_var"]


class _Attending(nn.Module):
    """A leaf module of many operations, and a reshaping around it that works with sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 1)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        attended = self.attn(tokens, tokens, tokens)[0]
        return torch.relu(attended).reshape(x.shape[0], -1)


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_every_node_tells_which_step_of_the_model_it_belongs_to(capture):
    probe = build_probe(_Attending(), X, capture=capture)
    model = to_onnx(probe)
    steps = {origin.name: origin for origin in probe.traced.origins.values()}
    for node in model.graph.all_nodes():
        step = steps[node.metadata_props["layerprobe.name"]]
        assert node.metadata_props["layerprobe.module_path"] == step.module_path
        assert node.metadata_props["layerprobe.operation"] == step.operation
        assert node.metadata_props["layerprobe.source"] == f"{step.source_file}:{step.source_line}"
        assert step.name in node.name
        assert step.name in node.doc_string
    names = [node.name for node in model.graph.all_nodes()]
    assert len(set(names)) == len(names)
    attention = [name for name in names if "/MatMul::" in name or "/Softmax::" in name]
    within = "attn/" if capture == "trace" else "getitem/"
    assert len(attention) >= 3
    assert all(name.startswith(within) for name in attention)


def test_nodes_on_sizes_keep_the_prefix_that_tells_them_from_computing_ones():
    model = to_onnx(build_probe(_Attending(), X))
    names = {spec.name for spec in build_probe(_Attending(), X).outputs}
    for node in model.graph:
        if node.name in names:
            continue
        assert node.name.rpartition("::")[2].isdigit()
        if all(value.dtype is not None for value in node.outputs):
            on_sizes = not any(value.dtype.is_floating_point() for value in node.outputs)
            assert node.name.startswith("size::") == on_sizes
        # These two work on nothing else in this model; torch leaves their types open.
        if node.op_type in ("Shape", "Concat"):
            assert node.name.startswith("size::")
    assert any(node.name.startswith("size::reshape/") for node in model.graph)


class _Rolling(nn.Module):
    """Rolls and pools to a size that its input's size decides: torch leaves types of both open."""

    def __init__(self):
        super().__init__()
        self.mixing = _Shifted()

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(self.mixing(x), 3)


class _Shifted(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 1)

    def forward(self, x):
        return super().forward(torch.roll(x, (-3, 2), (2, 3)))


def test_every_node_whose_result_is_an_integer_or_a_boolean_has_the_prefix_of_sizes():
    model = to_onnx(build_probe(_Rolling().eval(), torch.zeros(1, 3, 7, 8), dynamic_size=True))
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(model))
    types = {value.name: value.type.tensor_type.elem_type for value in (*proto.graph.value_info, *proto.graph.output)}
    inner = [node for node in proto.graph.node if "::" in node.name]
    found = {node.name: node.name.startswith("size::") for node in inner}
    assert found == {node.name: types[node.output[0]] != onnx.TensorProto.FLOAT for node in inner}
    assert any(node.op_type == "Mod" for node in inner)


def test_nodes_before_a_lone_output_are_not_taken_for_its_own():
    model = to_onnx(build_probe(_Attending(), X, outputs=["relu"]))
    convolution = next(node for node in model.graph if node.op_type == "Conv")
    assert convolution.name.startswith("conv/Conv::")
    assert convolution.metadata_props["layerprobe.module_path"] == "conv"


def test_the_nodes_in_the_loop_of_a_recurrent_layer_belong_to_it():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRUCell(8, 6)
            self.lstm = nn.LSTM(8, 6, batch_first=True)

        def forward(self, x):
            return self.lstm(x.flatten(1, 2))[0] + self.gru(x[:, 0, 0])[:, None]

    model = to_onnx(build_probe(Model(), X))
    assert {node.metadata_props.get("layerprobe.module_path") for node in model.graph.all_nodes()} >= {"lstm", "gru"}
    assert all("layerprobe.source" in node.metadata_props for node in model.graph.all_nodes())
    assert b"site-packages" not in ir.to_proto(model).SerializeToString()


def test_onnx_runtime_profiles_nodes_under_the_names_of_the_model(tmp_path):
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    proto = ir.to_proto(to_onnx(build_probe(_Attending(), X))).SerializeToString()
    session = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": X.numpy()})
    events = json.loads(Path(session.end_profiling()).read_text())
    assert any(event["name"].startswith("attn/Softmax::") for event in events)


def test_chunks_of_a_size_that_follows_the_image_are_exported():
    class Model(nn.Module):
        def forward(self, x):
            return torch.relu(x.chunk(3, 2)[0])

    probe = build_probe(Model(), X, dynamic_size=True)
    larger = torch.randn(2, 4, 20, 12)
    with torch.no_grad():
        expected = probe(larger)["relu"]
    np.testing.assert_array_equal(_run(to_onnx(probe), larger)["relu"], expected.numpy())


@pytest.mark.parametrize("leading", [(), (2,), (2, 3), (2, 3, 2)], ids=["one axis", "heads", "windows", "five axes"])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_with_any_number_of_axes_is_exported(leading, masked):
    class Model(nn.Module):
        def forward(self, x):
            query = x[:, :1].expand(-1, 12, -1, -1).reshape(x.shape[0], *leading, -1, 8)
            mask = query @ query.mT * 0.1 if masked else None
            return torch.nn.functional.scaled_dot_product_attention(query, query * 2, query + 1, mask)

    for capture in ("trace", "export"):
        _assert_same(Model(), capture)


@pytest.mark.parametrize(
    "clamped",
    [
        lambda x: x.clamp(-1, 0.5),
        lambda x: torch.clip(x, min=-0.5, max=1),
        lambda x: (x * 1).clamp_(max=0.5, min=-1),
        lambda x: (x * 9).int().clamp(-3, 4.5),
    ],
    ids=["method", "by name", "in place", "of integers"],
)
def test_a_clamp_with_an_integer_and_a_float_bound_is_exported(clamped):
    class Model(nn.Module):
        def forward(self, x):
            return clamped(x) + 1

    for capture in ("trace", "export"):
        _assert_same(Model(), capture, rtol=1e-6, atol=0)
