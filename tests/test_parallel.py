"""Mapping on processes: in order, and never waiting for the dead."""

import os
import signal
import time

import pytest

from clipcause.runtime.parallel import AHEAD, CHUNK, ordered_map


def double(number: int) -> int:
    return 2 * number


def fail_at_seventy(number: int) -> int:
    if number == 70:
        raise ValueError("seventy is too much")
    return number


def late_first(number: int) -> int:
    if number == 0:
        time.sleep(2.0)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order(workers):
    assert list(ordered_map(double, range(1000), workers)) == [2 * n for n in range(1000)]
    assert list(ordered_map(double, [], workers)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_of_a_worker_is_raised_here(workers):
    with pytest.raises(ValueError, match="seventy"):
        list(ordered_map(fail_at_seventy, range(200), workers))


def test_what_waits_for_an_earlier_item_is_bounded():
    taken = []

    def numbers():
        for number in range(100 * CHUNK * AHEAD):
            taken.append(number)
            yield number

    results = ordered_map(late_first, numbers(), 2)
    assert next(results) == 0
    assert len(taken) <= (2 * AHEAD + 1) * CHUNK


def test_a_worker_that_dies_is_an_error_and_not_a_wait():
    with pytest.raises(OSError, match="a worker process died"):
        list(ordered_map(die, range(10), 2))
