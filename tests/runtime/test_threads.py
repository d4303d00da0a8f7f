"""Mapping on threads: in order, and no further ahead than was asked for."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from clipcause.runtime.threads import ahead


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_results_come_in_order_and_items_are_read_as_they_are_taken(most):
    read = []

    def items():
        for number in range(20):
            read.append(number)
            yield number

    with ThreadPoolExecutor(3) as pool:
        for taken, found in enumerate(ahead(pool, lambda number: 2 * number, items(), most)):
            assert found == 2 * taken
            assert len(read) <= taken + most
    assert len(read) == 20


def test_an_error_comes_in_its_turn_and_the_rest_is_cancelled():
    begun, go = [], Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("one is too few")
        if number == 2:
            go.wait(10)
        return number

    with ThreadPoolExecutor(1) as pool:
        results = ahead(pool, work, range(50), 10)
        assert next(results) == 0
        with pytest.raises(ValueError, match="one is too few"):
            next(results)
        go.set()
    assert max(begun) <= 2
