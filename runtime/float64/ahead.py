"""A walk that is one step ahead of whoever reads it: NumPy releases Python's lock while it computes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["ahead"]

_T = TypeVar("_T")


def ahead(values: Iterator[_T]) -> Iterator[_T]:
    """Yield what an iterator yields, whose next value is computed in another thread while the last one is used.

    An error comes where the iterator raised it. If no more values are taken, at most one has been computed in vain.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(_take_one, values)
        while taken := following.result():
            following = thread.submit(_take_one, values)
            yield from taken


def _take_one(values: Iterator[_T]) -> list[_T]:
    return list(islice(values, 1))
