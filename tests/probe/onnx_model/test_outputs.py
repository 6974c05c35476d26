"""Which values of an ONNX file are outputs, what they are called, and where they came from."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx_making import constant, node, save, value, weight
from torch import nn

from probe.onnx_model.loading import load_onnx
from runtime.artifact.errors import UsageError
from runtime.artifact.selection import select_outputs

X = value("x", "n", 3, 8, 8)
W = weight("w", 4, 3, 3, 3)
CONV = node("Conv", ["x", "w"], ["c"], "stem/conv")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "theirs.onnx"


def outputs(probe, field="label"):
    return {output.name: getattr(output, field) for output in probe.outputs}


def skipped(probe):
    return {each.name: each.reason for each in probe.skipped}


def test_constants_and_sizes_are_no_outputs_and_the_reason_is_said(file):
    nodes = [
        CONV,
        node("Shape", ["c"], ["shape"]),
        node("Gather", ["shape", "first"], ["n"]),
        node("Constant", [], ["rest"], value=constant("", [-1])),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["c", "to"], ["flat"]),
        node("ConstantOfShape", ["to2"], ["zeros"]),
        node("Concat", ["flat", "zeros"], ["y"], axis=0),
    ]
    probe = load_onnx(save(file, nodes, [X], ["y"], [W, constant("first", [0]), constant("to2", [2, 144])])).probe
    assert list(outputs(probe)) == ["c", "flat", "y"]
    assert skipped(probe) == {
        "x": "an input of the model",
        "shape": "it depends on the sizes of the inputs alone",
        "n": "it depends on the sizes of the inputs alone",
        "rest": "it is a constant",
        "to": "it depends on the sizes of the inputs alone",
        "zeros": "it is a constant",
    }


def test_sequences_are_skipped(file):
    nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("ConcatFromSequence", ["s"], ["y"], axis=1)]
    probe = load_onnx(save(file, nodes, [X], ["y"])).probe
    assert outputs(probe, "shape") == {"y": ("N", 6, 8, 8)}
    assert skipped(probe)["s"] == "it is no tensor of numbers"


def test_a_weight_that_is_unpacked_is_an_output(file):
    nodes = [
        node("DequantizeLinear", ["q", "scale"], ["w"], "unpack"),
        node("Conv", ["x", "w"], ["y"]),
    ]
    weights = [constant("q", np.ones((4, 3, 3, 3)), "int8"), constant("scale", 0.5, "float32")]
    assert list(outputs(load_onnx(save(file, nodes, [X], ["y"], weights)).probe)) == ["w", "y"]


@pytest.mark.parametrize(("zero", "dtype"), [(["zero"], "int8"), ([], "float32")])
def test_a_product_of_the_runtimes_own_is_in_the_steps_of_its_zero_point(zero, dtype, file):
    nodes = [
        node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        node(
            "QGemm",
            ["q", "step", "zero", "w", "step", "zero", "", *(["step"] if zero else []), *zero],
            ["y"],
            domain="com.microsoft",
        ),
    ]
    weights = [constant("step", 0.1, "float32"), constant("zero", 3, "int8"), constant("w", np.eye(4), "int8")]
    save(file, nodes, [value("x", 1, 4)], ["y"], weights, domains={"com.microsoft": 1})
    probe = load_onnx(file).probe
    assert outputs(probe, "dtype") == {"q": "int8", "y": dtype}
    marked = onnx.load_model_from_string(probe.file.content).graph.output
    assert {each.name: each.type.tensor_type.elem_type for each in marked}["y"] == helper.np_dtype_to_tensor_dtype(
        np.dtype(dtype)
    )


def test_views_are_aliases_of_what_they_show(file):
    nodes = [
        CONV,
        node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        node("Flatten", ["t"], ["f"]),
        node("Relu", ["f"], ["y"]),
        node("Identity", ["x"], ["same"]),
    ]
    probe = load_onnx(save(file, nodes, [X], ["y", "same"], [W])).probe
    assert outputs(probe, "alias_of") == {"c": None, "t": "c", "f": "t", "y": None, "same": "x"}


BODY = helper.make_graph(
    [node("Add", ["v", "c"], ["w"]), node("Identity", ["go"], ["on"])],
    "body",
    [value("i", dtype="int64"), value("go", dtype="bool"), helper.make_empty_tensor_value_info("v")],
    [value("on", dtype="bool"), helper.make_empty_tensor_value_info("w"), helper.make_empty_tensor_value_info("v")],
)
ROWS = helper.make_graph(
    [node("Add", ["state", "row"], ["sum"]), node("Mul", ["sum", "two"], ["out"])],
    "rows",
    [value("state", 4), value("row", 4)],
    [value("sum", 4), value("out", 4)],
)


def test_a_loop_is_one_operation_that_reads_values_around_it(file):
    loop = node("Loop", ["trips", "", "c"], ["last", "each"], "repeat", body=BODY)
    probe = load_onnx(
        save(file, [node("Relu", ["x"], ["c"]), loop], [value("x", 2)], ["last", "each"], [constant("trips", 3)])
    ).probe
    assert outputs(probe) == {"c": "Relu", "last": "Loop", "each": "Loop"}
    walked = dict(probe.graph().walk({"x": np.array([1, -1], np.float32)}))
    assert walked["last"].tolist() == [4, 0]
    assert walked["each"].tolist() == [[1, 0], [2, 0], [3, 0]]


def test_a_scan_is_one_operation_that_reads_values_around_it(file):
    nodes = [
        node("Mul", ["half", "four"], ["two"]),
        node("Scan", ["start", "x"], ["last", "y"], body=ROWS, num_scan_inputs=1),
    ]
    weights = [weight("start", 4), constant("four", 4.0, "float32")]
    probe = load_onnx(save(file, nodes, [value("x", 5, 4), value("half")], ["y", "last"], weights)).probe
    assert outputs(probe, "shape") == {"two": (), "last": (4,), "y": (5, 4)}


def test_an_if_is_one_operation(file):
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(operator, ["c"], ["inside"])], name, [], [helper.make_empty_tensor_value_info("inside")]
        )
        for name, operator in (("then", "Neg"), ("else", "Relu"))
    }
    nodes = [
        CONV,
        node("ReduceMax", ["c"], ["most"], keepdims=0),
        node("Less", ["most", "zero"], ["low"]),
        node("If", ["low"], ["y"], **branches),
    ]
    probe = load_onnx(save(file, nodes, [X], ["y"], [W, constant("zero", 0.0, "float32")])).probe
    assert outputs(probe) == {"c": "Conv", "most": "ReduceMax", "low": "Less", "y": "If"}
    assert outputs(probe, "dtype") == {"c": "float32", "most": "float32", "low": "bool", "y": "float32"}


LABELS = {
    "Conv 3x5 stride 2 dilation 3 2 groups": node(
        "Conv", ["x", "w"], ["y"], kernel_shape=[3, 5], strides=[2, 2], dilations=[3, 3], group=2
    ),
    "MaxPool 2x2 stride 2x1": node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 1]),
    "Resize linear": node("Resize", ["x", "", "scales"], ["y"], mode="linear"),
    "Softmax": node("Softmax", ["x"], ["y"], axis=1),
}


@pytest.mark.parametrize("label", LABELS)
def test_a_label_says_what_people_speak_of(file, label):
    weights = [weight("w", 4, 2, 3, 5), constant("scales", [1, 1, 2, 2], "float32")]
    probe = load_onnx(save(file, [LABELS[label]], [value("x", "n", 4, 16, 24)], ["y"], weights)).probe
    assert outputs(probe) == {"y": label}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.conv(x))  # the line of both


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Block()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.stem(x).mean((2, 3)))


def exported(file, *, dynamo):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Net().eval(), (torch.zeros(1, 3, 8, 8),), str(file), dynamo=dynamo, **({"verbose": False} if dynamo else {})
        )
    return load_onnx(file).probe


def test_module_paths_and_source_lines_are_read_from_torchs_own_metadata(file):
    probe = exported(file, dynamo=True)
    by_label = {output.label: output for output in probe.outputs}
    conv, relu = by_label["Conv 3x3"], by_label["Relu"]
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = lines.index("        return self.act(self.conv(x))  # the line of both") + 1
    assert [(each.module_path, each.source_file, each.source_line) for each in (conv, relu)] == [
        ("stem.conv", "test_outputs.py", line),
        ("stem.act", "test_outputs.py", line),
    ]
    assert next(each.module_path for each in probe.outputs if "Gemm" in each.label) == "fc"


def test_module_paths_are_read_from_the_names_that_torchs_older_exporter_gives(file):
    probe = exported(file, dynamo=False)
    assert [(each.label, each.module_path) for each in probe.outputs] == [
        ("Conv 3x3", "stem.conv"),
        ("Relu", "stem.act"),
        ("ReduceMean", ""),
        ("Gemm", "fc"),
    ]
    assert {each.source_file for each in probe.outputs} == {None}


@pytest.mark.parametrize("scopes", ["not a list", "[", "['a\x1b', 'b']", "{}", "3"])
def test_metadata_of_another_form_is_no_obstacle(file, scopes):
    model = onnx.load(save(file, [CONV], [X], ["c"], [W]))
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value='File "a\x1bb.py", line 3')
    onnx.save(model, file)
    (output,) = load_onnx(file).probe.outputs
    assert output.module_path.isprintable()
    assert output.source_file is None


def test_a_selection_keeps_what_the_file_returns_and_drops_the_rest(file):
    nodes = [CONV, node("Relu", ["c"], ["r"]), node("Transpose", ["r"], ["t"]), node("Neg", ["t"], ["y"])]
    probe = load_onnx(save(file, nodes, [X], ["y"], [W])).probe
    for patterns, operations, expected in (
        (["r"], [], ["r", "y"]),
        ([], ["Conv"], ["c", "y"]),
        (["t"], [], ["t", "y"]),
    ):
        some = probe.only(select_outputs(probe.outputs, patterns, operations))
        assert [output.name for output in some.outputs] == expected
        assert all(output.alias_of is None for output in some.outputs)
    with pytest.raises(UsageError, match=r"No output or module is called 'nothing\*'"):
        select_outputs(probe.outputs, ["nothing*"], [])
