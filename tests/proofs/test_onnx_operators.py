"""The runner of `make onnx-operators`: what is right, refused or apart, and that a wrong value is noticed."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.helper import np_dtype_to_tensor_dtype

from proofs import onnx_operators as page
from proofs.onnx_operators import Finding, Kind

X = np.array([[-1.0, 2.0, 0.3]], np.float32)


def model(operator: str, arrays: list[Any], results: list[Any], **attributes: Any) -> Any:
    values = [
        [
            helper.make_tensor_value_info(f"{kind}{place}", np_dtype_to_tensor_dtype(each.dtype), each.shape)
            for place, each in enumerate(group)
        ]
        for kind, group in (("x", arrays), ("y", results))
    ]
    inputs, outputs = ([each.name for each in group] for group in values)
    graph = helper.make_graph([helper.make_node(operator, inputs, outputs, **attributes)], "one", *values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def found(
    folder: Path, operator: str, arrays: list[Any], results: list[Any], name: str = "test", **given: Any
) -> Finding:
    return page.judge(name, model(operator, arrays, results, **given), arrays, results, folder)


def test_a_value_is_right_within_the_rounding_of_its_type(tmp_path: Path) -> None:
    exact = np.exp(X.astype(np.float64))
    for type_ in (np.float64, np.float32, np.float16):
        assert found(tmp_path, "Exp", [X.astype(type_)], [np.exp(X.astype(type_))]) == Finding(Kind.RIGHT)
    off = exact.astype(np.float32) + np.float32([[0, 1e-4, 0]])
    assert found(tmp_path, "Exp", [X], [off]) == Finding(Kind.WRONG, "off by up to 0.0001")
    assert found(tmp_path, "Exp", [X], [np.round(exact, 4).astype(np.float32)]) == Finding(Kind.RIGHT)


def test_another_shape_type_integer_or_infinity_is_wrong(tmp_path: Path) -> None:
    assert found(tmp_path, "Relu", [X], [np.maximum(X, 0)[0]]).detail == "shape (1, 3) instead of (3,)"
    assert found(tmp_path, "Shape", [X], [np.array([1, 3], np.int32)]).detail == "int64 instead of int32"
    assert found(tmp_path, "Shape", [X], [np.array([1, 4])]).detail == "off by up to 1"
    assert found(tmp_path, "Sqrt", [X], [np.sqrt(np.abs(X))]).detail == "other infinities or NaN"
    assert found(tmp_path, "Greater", [X, X], [X > 0]).detail == "other values"


def test_a_step_at_a_tie_is_told(tmp_path: Path) -> None:
    x, scale = np.array([0.25, 0.2], np.float32), np.array(0.1, np.float32)
    above, beyond = np.array([3, 2], np.uint8), np.array([2, 3], np.uint8)
    assert found(tmp_path, "QuantizeLinear", [x, scale], [above]) == Finding(Kind.RIGHT, "y0 a step beside it at a tie")
    assert found(tmp_path, "QuantizeLinear", [x, scale], [beyond]) == Finding(Kind.WRONG, "off by up to 1")


def test_what_is_refused_or_no_tensor_is_told_apart(tmp_path: Path) -> None:
    reason = "RandomNormalLike can't be recomputed: it draws new random numbers each time"
    assert found(tmp_path, "RandomNormalLike", [X], [X]) == Finding(Kind.REFUSED, reason)
    words = np.array(["a"], object)
    assert found(tmp_path, "Identity", [words], [words]) == Finding(Kind.APART, "string")
    sequence = model("Identity", [X], [X])
    sequence.graph.output[0].type.CopyFrom(onnx.helper.make_sequence_type_proto(sequence.graph.output[0].type))
    assert page.judge("test", sequence, [X], [X], tmp_path) == Finding(Kind.APART, "sequence")


def test_where_onnx_and_the_runtime_disagree_the_runtime_is_followed(tmp_path: Path) -> None:
    name = "test_maxunpool_export_with_output_shape"
    arrays = [np.float32([[[[1, 2], [3, 4]]]]), np.array([[[[0, 8], [20, 24]]]]), np.array([1, 1, 5, 5])]
    nothing = np.zeros((1, 1, 5, 5), np.float32)
    given = {"kernel_shape": [2, 2], "strides": [2, 2]}
    assert found(tmp_path, "MaxUnpool", arrays, [nothing], name, **given) == Finding(
        Kind.OTHERWISE, page.OTHERWISE[name]
    )


def test_the_page_counts_by_operator() -> None:
    findings = {
        "test_a": Finding(Kind.RIGHT),
        "test_a_expanded": Finding(Kind.REFUSED, "why not"),
        "test_b": Finding(Kind.WRONG, "off by up to 1"),
        "test_c": Finding(Kind.APART, "string"),
    }
    operators = {"test_a": "Exp", "test_a_expanded": "Exp", "test_b": "QuantizeLinear", "test_c": "StringConcat"}
    text = page.as_page(findings, operators)
    assert "**Of 3 tests with tensors, 1 are right, 1 are refused by name,\n0 follow" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows == [
        "| Exp |  | 2 | 1 | 1 |  |  | why not |",
        "| QuantizeLinear | Q | 1 |  |  |  | 1 | off by up to 1 |",
        "| operator | tests | of |",
        "| --- | ---: | --- |",
        "| StringConcat | 1 | string |",
    ]


def test_a_test_of_an_expanded_operator_counts_for_that_operator() -> None:
    models = {"test_a": model("Gelu", [X], [X]), "test_a_expanded_ver18": model("Mul", [X, X], [X])}
    assert {page.operator_of(name, models) for name in models} == {"Gelu"}
