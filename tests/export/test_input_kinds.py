"""Which recorded inputs are of one kind, by their names."""

import pytest

from export.input_kinds import are_alike


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("noise", "a batch of 3", True),
        ("a batch of 3", "noise", True),
        ("noise", "strong noise", False),
        ("noise", "a photo", False),
        ("cat.jpg", "dog.jpg", True),
        ("cat.jpg", "a batch of 3", False),
        ("cat.jpg", "noise", False),
    ],
)
def test_noise_of_any_batch_and_a_users_own_inputs_are_of_one_kind_each(one: str, other: str, alike: bool) -> None:
    assert are_alike(one, other) is alike
