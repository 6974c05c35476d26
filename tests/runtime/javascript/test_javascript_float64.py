"""Each operator in JavaScript's float64, and what it may lose, held against Python's."""

from pathlib import Path

import numpy as np
import pytest
from float64_cases import CASES, CHAINS, HOSTILE, ROUNDED, model_of
from javascript_here import needs_node, run_node
from safetensors import safe_open
from safetensors.numpy import save_file

from runtime.artifact.onnx_file import OnnxFile
from runtime.float64.graph import Float64Graph, Unknown

NAMES = [*CASES, *CHAINS]

pytestmark = needs_node


@pytest.fixture(scope="module", params=["a runtime's", "the file's"])
def evaluated(request, tmp_path_factory):
    """Return what JavaScript computes of all cases, and in whose roundings: a runtime's, or the file's constants'."""
    folder = tmp_path_factory.mktemp("cases")
    tensors = {}
    for name in (*NAMES, *HOSTILE):
        model, inputs = model_of(name)
        tensors[f"{name}/model"] = np.frombuffer(model.SerializeToString(), np.uint8)
        tensors |= {f"{name}/input:{key}": np.ascontiguousarray(array) for key, array in inputs.items()}
    rounds = request.param == "a runtime's"
    save_file(tensors, folder / "cases.safetensors", metadata={"rounds": "yes" if rounds else "no"})
    run_node("testing/evaluate_cases.js", folder / "cases.safetensors", folder / "out.safetensors")
    with safe_open(folder / "out.safetensors", "np") as opened:
        found = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - it can't be iterated
        return rounds, found, opened.metadata() or {}


def _by_python(name, *, rounds):
    model, inputs = model_of(name)
    graph = Float64Graph(OnnxFile(Path("made.onnx"), model.SerializeToString(), Path()), ["y"])
    if rounds:
        ((_, value, scale),) = graph.walk_with_scales(inputs)
        return value, scale
    seen = []
    graph.walk_judging(inputs, lambda _, value, scale: seen.append((value, scale)), folded={})
    return seen[0]


@pytest.mark.parametrize("name", NAMES)
def test_javascript_computes_what_python_does(name, evaluated):
    rounds, found, unknown = evaluated
    value, scale = _by_python(name, rounds=rounds)
    assert not isinstance(value, Unknown), value
    assert f"{name}/unknown:y" not in unknown, unknown.get(f"{name}/unknown:y")
    own = np.broadcast_to(scale.own, value.shape)
    ours, our_scale = found[f"{name}/value:y"], found[f"{name}/scale:y"]
    assert ours.shape == value.shape
    least = ROUNDED.get(name, 1e-12)
    np.testing.assert_allclose(ours, value, rtol=1e-11, atol=least * np.max(np.abs(value), initial=1e-30))
    # Python's is in float32.
    np.testing.assert_allclose(our_scale, own, rtol=2e-3, atol=1e-6 * np.max(own, initial=1e-30))


@pytest.mark.parametrize("name", HOSTILE)
def test_what_asks_for_too_much_is_refused_with_a_reason(name, evaluated):
    _, found, unknown = evaluated
    assert f"{name}/value:y" not in found
    assert "can't be recomputed: " in unknown[f"{name}/unknown:y"]
