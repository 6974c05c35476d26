"""Whether steps fit their values: how far a sane calibration may be from one recorded input."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from runtime.float64.bit_noise import BitNoise
from runtime.float64.step_use import StepUse
from runtime.verdict.quantization_faults import Steps

_FITTING = StepUse(
    given="",
    real="",
    low=0.0,
    high=1.0,
    least=0.0,
    largest=0.95,
    step=1 / 255,
    steps=255.0,
    beyond=0.0,
    zeros=0.5,
    size=4096,
)


def steps_of(uses: list[StepUse], reach: dict[str, float]) -> Steps:
    collected: Any = SimpleNamespace(
        used=uses, weights=[], biases=SimpleNamespace(found=[]), overflows={}, inputs=frozenset()
    )
    steps = Steps(cast(BitNoise, collected), [use.given for use in uses], reach)
    steps.come_to("result")
    return steps


def faults_of(uses: list[StepUse], reach: dict[str, float]) -> dict[str, list[str]]:
    return steps_of(uses, reach).faults()


def uses(*largest: float) -> list[StepUse]:
    """Ranges that end at different places, and how far their values reach."""
    return [
        replace(_FITTING, given=f"relu{number}", high=1 + number / 100, largest=each)
        for number, each in enumerate(largest)
    ]


USUAL = (0.95, 0.93, 0.97, 0.9, 0.96, 0.92)


def test_steps_twice_as_coarse_as_the_values_need_are_told() -> None:
    found = faults_of(uses(*USUAL, 0.5), {})

    assert list(found) == ["relu6"]
    assert "times what its values need" in found["relu6"][0]


@pytest.mark.parametrize(("reach", "told"), [(1.0, True), (1.5, False)])
def test_what_another_recorded_input_fills_of_a_range_is_used(reach: float, told: bool) -> None:
    assert bool(faults_of(uses(*USUAL, 0.5), {"relu6": reach})) is told


@pytest.mark.parametrize(
    ("values", "said"),
    [([-0.02, 0.01, 0.19], ["its range from 0 to 0.06 clips values from 0 to 0.19"]), ([0.0, 0.01, 0.0601], [])],
)
def test_a_range_that_clips_is_named_with_its_ends(values: list[float], said: list[str]) -> None:
    reaching = StepUse.of("sub", "", np.array(values), np.array(0.06 / 255), 0, 255)
    assert steps_of([*uses(*USUAL), reaching], {}).clipped("sub") == said
