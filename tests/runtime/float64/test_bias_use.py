"""A bias in whole steps that aren't those of the products that it is added to."""

import numpy as np
import pytest
from onnx import helper

from runtime.float64.bias_use import BiasUse, BiasUses

GENERATOR = np.random.default_rng(0)
WHOLE = np.array([40, -30, 0, 25, 70, -5, 12, -60], np.int32)
PRODUCT = 0.02 * 0.005


def uses(step: np.ndarray, weight: np.ndarray, *, whole: np.ndarray = WHOLE, beta: float = 1.0) -> list[BiasUse]:
    """Return what is found of a Gemm with these scales of its bias and its weight."""
    found = BiasUses()
    for name, values, scale in (
        ("x", np.zeros((1, 4), np.uint8), np.float32(0.02)),
        ("w", np.zeros((8, 4), np.int8), weight),
        ("b", whole, step),
    ):
        node = helper.make_node("DequantizeLinear", [f"{name}_steps", f"{name}_scale"], [name])
        found.note(node, [values, np.asarray(scale, np.float32)], {"w_steps", "b_steps"})
    found.note(helper.make_node("Gemm", ["x", "w", "b"], ["y"], beta=beta), [], set())
    return found.found


def test_the_step_of_a_bias_is_that_of_its_products():
    per_channel = np.linspace(0.001, 0.01, 8)
    assert uses(np.array(PRODUCT), np.array(0.005)) == []
    assert uses(0.02 * per_channel, per_channel) == []
    assert uses(np.array(PRODUCT * 3), np.array(0.005), beta=3.0) == []
    assert uses(np.array(PRODUCT * 3), np.array(0.005), whole=np.zeros(8, np.int32)) == []
    (use,) = uses(np.array(2 * PRODUCT), np.array(0.005))
    assert (use.step, use.ratio) == (pytest.approx(2 * PRODUCT), pytest.approx(2))
    np.testing.assert_allclose(use.excess, WHOLE * PRODUCT, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 8, 6, 6), (2, 6, 6, 8), (50, 8)])
def test_the_error_tells_whether_the_bias_is_what_was_changed(shape):
    (use,) = uses(np.array(2 * PRODUCT), np.array(0.005))
    excess = use.excess.reshape([-1 if size == 8 else 1 for size in shape])
    noise = GENERATOR.normal(scale=10 * np.abs(use.excess).max() / np.sqrt(np.prod(shape) / 8), size=shape)
    rounding = noise / 40
    assert use.explains(excess + rounding)
    assert use.explains(np.maximum(excess + rounding, 0) + np.minimum(excess, 0) / 2)  # a ReLU behind it
    assert not use.explains(rounding)
    assert not use.explains(noise)
    assert not use.explains(-excess + rounding)
    assert not use.explains(np.zeros((2, 5)))
