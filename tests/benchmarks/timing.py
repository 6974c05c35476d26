"""Timing several ways of doing something in turns, for the benchmarks. What is timed is up to them."""

import gc
import time
from collections.abc import Callable

__all__ = ["Seconds", "interleave"]

Seconds = dict[str, list[float]]


def interleave(
    ways: dict[str, Callable[[], object]],
    rounds: int,
    *,
    warm: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Seconds:
    """Return the seconds of each way in each round, after one round that warms up.

    With `warm`, each way runs twice in its turn and the second run counts: a session that runs repeatedly
    finds its own data in the caches, and not another way's.
    """
    seconds: Seconds = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            gc.collect()  # no side pays for the other's garbage
            if warm:
                way()
            started = clock()
            way()
            if number:
                seconds[name].append(clock() - started)
    return seconds
