"""Walks that are computed one step ahead of whoever reads them."""

from collections.abc import Iterator
from threading import Event

import pytest

from runtime.float64.ahead import ahead


def test_all_values_come_in_order() -> None:
    assert list(ahead(iter([3, None, 1]))) == [3, None, 1]


def test_the_next_value_is_computed_while_the_last_one_is_used() -> None:
    computed = Event()

    def values() -> Iterator[int]:
        yield 1
        computed.set()
        yield 2

    walk = ahead(values())
    assert next(walk) == 1
    assert computed.wait(timeout=60)
    assert list(walk) == [2]


def test_an_error_comes_after_the_values_before_it() -> None:
    def values() -> Iterator[int]:
        yield 1
        raise ValueError("of the walk")

    walk = ahead(values())
    assert next(walk) == 1
    with pytest.raises(ValueError, match="of the walk"):
        next(walk)


def test_a_walk_that_is_given_up_ends() -> None:
    taken = []

    def values() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    walk = ahead(values())
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    assert len(taken) <= 2
