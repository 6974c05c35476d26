"""Choosing outputs: of a model and of an artifact by the same rule."""

import pytest

from probe.errors import UnknownOutput
from probe.selection import select_names
from runtime import UsageError
from runtime.output_selection import select_outputs

NAMES = ["cnn1", "batchnorm1", "relu", "cnn2", "batchnorm1_1", "relu_1"]


@pytest.fixture
def of_artifact(exported):
    manifest = exported("cnn2").manifest
    short = manifest.model_copy(update={"outputs": [each for each in manifest.outputs if each.name in NAMES]})
    return lambda patterns: [output.name for output in select_outputs(short, patterns)]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], NAMES),
        (["relu*"], ["relu", "relu_1"]),
        (["cnn2", "cnn1"], ["cnn1", "cnn2"]),
        (["*_1", "relu_?"], ["batchnorm1_1", "relu_1"]),
        (["cnn[12]"], ["cnn1", "cnn2"]),
    ],
)
def test_names_and_globs_choose_in_the_order_of_execution(of_artifact, patterns, chosen):
    assert select_names(NAMES, patterns) == chosen
    assert of_artifact(patterns) == chosen


@pytest.mark.parametrize("pattern", ["cnn3", "rellu", "Relu"])
def test_a_pattern_that_matches_nothing_is_answered_with_near_names(of_artifact, pattern):
    near = "cnn" if pattern == "cnn3" else "relu"
    with pytest.raises(UnknownOutput, match=near):
        select_names(NAMES, ["cnn1", pattern])
    with pytest.raises(UsageError, match=near):
        of_artifact(["cnn1", pattern])
