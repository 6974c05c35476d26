"""Work beside the caller's: in a second thread, or when it is asked for."""

import threading

import pytest

from runtime.verdict.beside import Beside

SMALL, LARGE = 1 << 20, 1 << 34


@pytest.mark.parametrize("size_bytes", [SMALL, LARGE])
def test_work_is_done_once_and_its_error_is_raised_where_its_result_is_asked_for(size_bytes):
    done = []
    beside = Beside(size_bytes)
    number, fails = beside.start(lambda: done.append(1) or len(done)), beside.start(lambda: 1 / 0)
    assert [number(), number()] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        fails()
    beside.close()


def test_a_small_model_has_a_thread_for_it_and_a_large_one_waits_until_it_is_asked_for():
    small, large = Beside(SMALL), Beside(LARGE)
    assert (small.has_thread, large.has_thread) == (True, False)
    assert small.start(threading.get_ident)() != threading.get_ident()
    assert large.start(threading.get_ident)() == threading.get_ident()
    started = threading.Event()
    large.start(started.set)
    assert not started.is_set()
    small.start(started.set)()
    assert started.is_set()
    small.close()


def test_after_an_error_nothing_more_is_started():
    beside, may_end, started = Beside(SMALL), threading.Event(), threading.Event()
    first = beside.start(may_end.wait)
    beside.start(started.set)
    beside.close()
    may_end.set()
    assert first()
    assert not started.is_set()
