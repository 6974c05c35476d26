"""LSTM, GRU and RNN with all that ONNX lets them have, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from against_ort import assert_as_ort
from runtime.float64.nodes import NodeEvaluator

RANDOM = np.random.default_rng(6)
HIDDEN, RESULTS, GATES = 4, {"LSTM": 3, "GRU": 2, "RNN": 2}, {"LSTM": 4, "GRU": 3, "RNN": 1}
LENGTHS = np.array([3, 5], np.int32)
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {"activations": ["Relu", "Tanh", "Softsign"]}),
    ("LSTM", {"activations": ["HardSigmoid", "Elu", "Tanh"], "activation_alpha": [0.3, 0.5], "activation_beta": [0.4]}),
    ("LSTM", {"clip": 0.5}),
    ("LSTM", {"input_forget": 1}),
    ("LSTM", {"direction": "reverse"}),
    ("LSTM", {"direction": "bidirectional"}),
    ("GRU", {"linear_before_reset": 1}),
    ("GRU", {"direction": "bidirectional"}),
    ("GRU", {"clip": 0.5, "activations": ["Sigmoid", "Relu"]}),
    ("RNN", {"activations": ["LeakyRelu"], "activation_alpha": [0.2], "direction": "reverse"}),
    ("RNN", {"clip": 0.5}),
]


def noise(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def given(operator: str, directions: int, lengths: Any, initial: bool = True) -> list[Any]:
    rows = GATES[operator] * HIDDEN
    arrays = [noise(5, 2, 3), noise(directions, rows, 3), noise(directions, rows, HIDDEN), noise(directions, 2 * rows)]
    if not initial:
        return [*arrays[:3], None, lengths] if lengths is not None else arrays[:3]
    states = [noise(directions, 2, HIDDEN) for _ in range(2 if operator == "LSTM" else 1)]
    return [*arrays, lengths, *states, *([noise(directions, 3 * HIDDEN)] if operator == "LSTM" else [])]


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize(("operator", "attributes"), WAYS)
def test_they_compute_what_onnx_runtime_does(
    operator: str, attributes: dict[str, Any], lengths: Any, tmp_path: Path
) -> None:
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    for initial in (True, False):
        arrays = given(operator, directions, lengths, initial)
        everything = {"hidden_size": HIDDEN, **attributes}
        assert_as_ort(tmp_path, operator, arrays, everything, opset=14, outputs=RESULTS[operator])


@pytest.mark.parametrize("operator", RESULTS)
def test_the_batch_may_come_first(operator: str) -> None:
    arrays = [None if each is None else each.astype(np.float64) for each in given(operator, 1, None)]
    names = [f"x{place}" if each is not None else "" for place, each in enumerate(arrays)]
    results = [f"y{place}" for place in range(RESULTS[operator])]
    usual = NodeEvaluator(helper.make_node(operator, names, results, hidden_size=HIDDEN), {"": 14}).run(arrays)
    states = len(results) - 1
    turned = [
        each.swapaxes(0, 1) if each is not None and (place == 0 or 5 <= place < 5 + states) else each
        for place, each in enumerate(arrays)
    ]
    first = NodeEvaluator(helper.make_node(operator, names, results, hidden_size=HIDDEN, layout=1), {"": 14}).run(
        turned
    )
    np.testing.assert_array_equal(first[0], usual[0].transpose(2, 0, 1, 3))
    for one, other in zip(first[1:], usual[1:], strict=True):
        np.testing.assert_array_equal(one, other.swapaxes(0, 1))


def test_an_unknown_activation_is_refused_by_name() -> None:
    node = helper.make_node("RNN", ["x", "w", "r"], ["y"], hidden_size=HIDDEN, activations=["Snake"])
    with pytest.raises(NotImplementedError, match="the activation Snake"):
        NodeEvaluator(node, {"": 14}).run(given("RNN", 1, None, initial=False))
