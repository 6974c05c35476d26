"""The ONNX file: valid, its outputs named and ordered as the probe's, and computing what the probe computes."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import nn

from export import to_onnx
from probe import build_probe

X = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def _run(model: ir.Model, x: torch.Tensor) -> dict[str, np.ndarray]:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x.numpy()}), strict=True))


def _assert_same(model: nn.Module) -> dict[str, np.ndarray]:
    probe = build_probe(model, X)
    with torch.no_grad():
        expected = probe(X)
    outputs = _run(to_onnx(probe), X)
    assert list(outputs) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(outputs[name], tensor.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)
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
    assert node.metadata_props["layerprobe.source"].startswith("test_export_onnx.py:") or node.metadata_props[
        "layerprobe.source"
    ].startswith("tests/test_export_onnx.py:")
    assert b"site-packages" not in ir.to_proto(model).SerializeToString()


def test_batch_norm_is_not_folded_and_equal_weights_stay_apart():
    model = to_onnx(build_probe(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)), X))
    assert [node.op_type for node in model.graph] == ["Conv", "BatchNormalization"]
    norm = list(model.graph)[1]
    assert [value.name for value in norm.inputs[1:]] == ["1.weight", "1.bias", "1.running_mean", "1.running_var"]


def test_an_operation_that_onnx_does_not_know_is_told_with_the_way_around_it():
    from export import ExportError

    class Model(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    with pytest.raises(ExportError, match="--outputs"):
        to_onnx(build_probe(Model(), X))
