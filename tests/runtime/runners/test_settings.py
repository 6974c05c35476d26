"""Settings are refused where they are made, in words, if no runtime could follow them."""

import pytest

from runtime import Settings
from runtime.artifact.errors import UsageError


@pytest.mark.parametrize(
    ("setting", "given", "allowed"),
    [
        ("graph_optimization", "full", "one of disabled, basic, extended, layout, all"),
        ("convolution_search", "EXHAUSTIVE", "one of exhaustive, heuristic, default"),
        ("threads", 0, "a number from 1 to 1024"),
        ("threads", 1_000_000, "a number from 1 to 1024"),
        ("threads", "4", "a number from 1 to 1024"),
        ("seed", -1, f"a number from 0 to {2**63 - 1}"),
        ("seed", 2**63, f"a number from 0 to {2**63 - 1}"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_those_that_are(setting, given, allowed):
    with pytest.raises(UsageError) as refused:
        Settings(**{setting: given})
    assert str(refused.value) == f"The setting {setting} can't be {given!r}: give {allowed}."


def test_the_ends_of_a_range_are_allowed():
    assert Settings(threads=1, seed=0) != Settings(threads=1024, seed=2**63 - 1)
