"""An error is split into what an operation introduced and what it inherited: the two are measured in one unit."""

from pathlib import Path

import numpy as np
from onnx_making import constant, node, save, value

from runtime.artifact.reference import Reference, Truth
from runtime.float64.graph import Float64Graph
from runtime.verdict.error_shares import shares_of_error
from runtime.verdict.file_values import evaluate_file

OUTPUTS = ["centred", "moved", "negated"]


def test_what_only_moves_values_inherits_the_whole_of_its_drift(tmp_path: Path) -> None:
    """Pixels are centred: a difference of large numbers, of which float32 loses more than its small result shows."""
    pixels = 1000 + np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32) / 1000
    nodes = [
        node("Sub", ["x", "mean"], ["centred"]),
        node("Reshape", ["centred", "shape"], ["moved"]),
        node("Neg", ["moved"], ["negated"]),
    ]
    weights = [constant("mean", 1000, "float32"), constant("shape", [1, -1])]
    results = [value("centred", 1, 2, 3, 4), value("moved", 1, 24), value("negated", 1, 24)]
    file = save(tmp_path / "model.onnx", nodes, [value("x", 1, 2, 3, 4)], results, weights)
    centred = pixels.astype(np.float64) - 1000
    exact = {"centred": centred, "moved": centred.reshape(1, -1), "negated": -centred.reshape(1, -1)}
    reference = Reference({"x": pixels}, {name: Truth.of(array) for name, array in exact.items()})
    got = (centred + 1000 * np.finfo(np.float32).eps).astype(np.float32)
    arrays = {"centred": got, "moved": got.reshape(1, -1), "negated": -got.reshape(1, -1)}
    graph = Float64Graph(file, OUTPUTS)
    values = evaluate_file(graph, reference, dict.fromkeys(OUTPUTS, "float32"))
    found = {
        each.comparison.name: each
        for each in shares_of_error(graph, reference, values, arrays, dict.fromkeys(OUTPUTS, "float32"))
    }
    assert found["centred"].share
    assert found["centred"].share.inherited == 0
    for name in ("moved", "negated"):
        split = found[name]
        assert split.share
        assert split.share.introduced == 0
        assert split.share.inherited == split.comparison.drift
