"""`make onnx-operators`: the node tests of the onnx package, each computed in float64 as `verify` computes a file.

    python -m proofs.onnx_operators artifacts/onnx_operators.md  # all of them, in about a minute

Each test is a small model with its inputs and the results that are expected. It is written to a file, walked by
`Float64Graph` with the natural scale of every value, and compared. It exits with 1 if a value is wrong.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, numpy_helper

from runtime.float64.contrib import PARTS
from runtime.float64.graph import Float64Graph, Unknown
from runtime.float64.steps import QUANTIZING

__all__ = ["Finding", "Kind", "as_page", "judge", "main"]

_ROUNDINGS = 32
"""How many roundings of the expected type, of a tensor's largest value, an expected value may be off."""
_WRITTEN = 1e-4
"""How far it may be off where the test's author wrote it down by hand, with four digits after the point."""
_QUANTIZED = {*QUANTIZING, "DequantizeLinear", "ConvInteger", "MatMulInteger"}

OTHERWISE = {
    "test_maxunpool_export_with_output_shape": "its indices count in the tensor that output_shape gives, which MaxPool "
    "took; by onnx in that of kernel and strides, where a MaxPool that left a row over has none",
    **dict.fromkeys(
        (
            "test_resize_downsample_scales_linear_align_corners",
            "test_resize_downsample_scales_cubic_align_corners",
        ),
        "the last element is the last one of the input, as align_corners says; by onnx's size before it is rounded, "
        "it is not",
    ),
}
"""Tests from which the float64 evaluator differs on purpose, with ONNX Runtime, and why."""


class Kind(StrEnum):
    """What came of a test."""

    RIGHT = "right"
    REFUSED = "refused"
    OTHERWISE = "as ONNX Runtime"
    APART = "no tensors"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """What came of a test, and why it isn't right."""

    kind: Kind
    detail: str = ""


def judge(name: str, model: ModelProto, inputs: Sequence[Any], expected: Sequence[Any], folder: Path) -> Finding:
    """Compute a test in float64 and compare it with what it expects."""
    values = [*model.graph.input, *model.graph.output]
    kinds = {value.type.WhichOneof("value") for value in values} - {"tensor_type"}
    if kinds:
        return Finding(Kind.APART, " and ".join(sorted(kind.removesuffix("_type") for kind in kinds)))
    if any(value.type.tensor_type.elem_type == TensorProto.STRING for value in values):
        return Finding(Kind.APART, "string")
    given = {each.name: _array(value) for each, value in zip(model.graph.input, inputs, strict=True)}
    names = [each.name for each in model.graph.output]
    onnx.save(model, folder / "test.onnx")
    walked = {each: rest for each, *rest in Float64Graph(folder / "test.onnx", names).walk_with_scales(given)}
    results = _in_onnx_runtime(model, given) if name in OTHERWISE else expected
    for each, result in zip(names, results, strict=True):
        value, scale = walked[each]
        if isinstance(value, Unknown):
            return Finding(Kind.REFUSED, value.reason)
        fault = _fault(value, np.asarray(_array(result)), scale.own)
        if fault:
            return Finding(Kind.WRONG, fault)
    if name in OTHERWISE:
        return Finding(Kind.OTHERWISE, OTHERWISE[name])
    stepped = [each for each, result in zip(names, expected, strict=True) if _is_beside(walked[each][0], result)]
    return Finding(Kind.RIGHT, f"{', '.join(stepped)} a step beside it at a tie" if stepped else "")


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def _is_beside(value: Any, expected: Any) -> bool:
    return value.dtype.kind in "iu" and not np.array_equal(value, _array(expected))


def _in_onnx_runtime(model: ModelProto, given: Mapping[str, Any]) -> Sequence[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(given))


def _fault(value: Any, expected: Any, scale: Any) -> str | None:
    """Return how a value differs from what is expected, if by more than the expected type rounds."""
    if value.shape != expected.shape:
        return f"shape {value.shape} instead of {expected.shape}"
    type_ = expected.dtype.name
    epsilon = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}.get(type_)
    if value.dtype != (np.float64 if epsilon else expected.dtype):
        return f"{value.dtype} instead of {expected.dtype}"
    if expected.dtype.kind == "b" or (epsilon is None and expected.dtype.kind not in "iu"):  # 8 bits with a point
        same = np.array_equal(value.astype(np.float64), expected.astype(np.float64), equal_nan=True)
        return None if same else "other values"
    one, other = value.astype(np.float64), expected.astype(np.float64)
    known = np.isfinite(other)
    if not np.array_equal(one[~known], other[~known], equal_nan=True) or not np.isfinite(one[known]).all():
        return "other infinities or NaN"
    if epsilon is None:  # a step at a tie of rounding, on the other side of which float32 may be
        allowed = np.broadcast_to(scale > 0, value.shape)[known].astype(np.float64)
    else:
        allowed = np.asarray(_ROUNDINGS * epsilon * np.max(np.abs(other[known]), initial=0.0))
        if _has_four_digits(expected[known]):
            allowed = np.maximum(allowed, _WRITTEN)
    off = np.abs(one[known] - other[known])
    return f"off by up to {off.max():.3g}" if np.any(off > allowed) else None


def _has_four_digits(values: Any) -> bool:
    """Return whether numbers have at most four digits after the point, and some have four."""
    three, four = (np.round(values.astype(np.float64), digits).astype(values.dtype) for digits in (3, 4))
    return np.array_equal(four, values) and not np.array_equal(three, values)


def operator_of(name: str, models: Mapping[str, ModelProto]) -> str:
    """Return the operator that a test is of; one whose operator is expanded is of that operator, too."""
    whole = name.partition("_expanded")[0]
    node = models[whole if whole in models else name].graph.node[0]
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def as_page(findings: Mapping[str, Finding], operators: Mapping[str, str]) -> str:
    """Return the Markdown page.

    Args:
        findings: by test.
        operators: by test, its operator.
    """
    counts = Counter(finding.kind for finding in findings.values())
    tensors = len(findings) - counts[Kind.APART]
    by_operator: dict[str, list[Finding]] = defaultdict(list)
    for name, finding in findings.items():
        by_operator[operators[name]].append(finding)
    kinds = [kind for kind in Kind if kind is not Kind.APART]
    lines = [
        "# ONNX's operators in float64",
        "",
        "Made by `make onnx-operators` (`tests/proofs/onnx_operators.py`): the node tests of the onnx package, each",
        "computed as `verify` computes a file, and compared with the results that the test expects.",
        "",
        f"**Of {tensors} tests with tensors, {counts[Kind.RIGHT]} are right, {counts[Kind.REFUSED]} are refused by"
        " name,",
        f"{counts[Kind.OTHERWISE]} follow ONNX Runtime where onnx's test says otherwise, and {counts[Kind.WRONG]} are"
        f" wrong.** {counts[Kind.APART]} more are of sequences,",
        "optionals and strings.",
        "",
        f"A float is right if it is within {_ROUNDINGS} roundings of the expected type (of the tensor's largest value),"
        " or within",
        f"{_WRITTEN:g} where the test has it with four digits; an integer, if it is the same, or one step beside it"
        " where float32",
        "can't tell on which side of a tie of rounding a number lies. Quantizing operators have a Q. Also tested, each",
        f"against ONNX Runtime (`tests/runtime/float64/`): older opsets, and {len(PARTS)} operators of ONNX Runtime's"
        " own.",
        "",
        f"onnx {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}; {time.strftime('%Y-%m-%d')}.",
        "",
        *_rows(["operator", "", "tests", *kinds, "why"], ["---", "---", *["---:"] * (1 + len(kinds)), "---"]),
        *_rows(*(_row(operator, by_operator[operator], kinds) for operator in sorted(by_operator, key=str.lower))),
        "",
        "## Sequences, optionals and strings",
        "",
        "`verify` compares tensors, so that no result of a model is one of these; inside a graph, sequences and",
        "optionals pass from node to node. No CNN computes with strings.",
        "",
        *_rows(["operator", "tests", "of"], ["---", "---:", "---"]),
        *_rows(*_rows_apart(by_operator)),
    ]
    return "\n".join(lines) + "\n"


def _row(operator: str, findings: Sequence[Finding], kinds: Iterable[Kind]) -> list[str]:
    counts = Counter(finding.kind for finding in findings)
    reasons = dict.fromkeys(each.detail for each in findings if each.detail and each.kind is not Kind.APART)
    number = [str(counts[kind] or "") for kind in kinds]
    tests = len(findings) - counts[Kind.APART]
    return [operator, "Q" if operator in _QUANTIZED else "", str(tests), *number, "; ".join(reasons)] if tests else []


def _rows_apart(by_operator: Mapping[str, Sequence[Finding]]) -> Iterable[list[str]]:
    for operator in sorted(by_operator, key=str.lower):
        apart = [finding.detail for finding in by_operator[operator] if finding.kind is Kind.APART]
        if apart:
            yield [operator, str(len(apart)), ", ".join(sorted(set(apart)))]


def _rows(*rows: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows if row]


def run(page: Path) -> int:
    """Judge all tests, write the page and return the exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, about what the tests provoke
        from onnx.backend.test.case.node import collect_testcases

        tests = {each.name: each for each in collect_testcases()}
    models = {name: test.model for name, test in tests.items()}
    findings = {}
    with tempfile.TemporaryDirectory(prefix="layerprobe-operators-") as folder:
        for name, test in tests.items():
            findings[name] = judge(name, test.model, *test.data_sets[0], Path(folder))
            if findings[name].kind is Kind.WRONG:
                print(f"{name}: {findings[name].detail}", flush=True)
    operators = {name: operator_of(name, models) for name in tests}
    page.write_text(as_page(findings, operators), encoding="utf-8")
    counts = Counter(finding.kind for finding in findings.values())
    print(", ".join(f"{counts[kind]} {kind}" for kind in Kind))
    return int(counts[Kind.WRONG] > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    return run(parser.parse_args().page)


if __name__ == "__main__":
    sys.exit(main())
