import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from stages.statistics import wilson


def test_wilson_against_a_worked_value():
    # 8 of 10: (0.8 + z²/20 ± z sqrt(0.8 * 0.2 / 10 + z²/400)) / (1 + z²/10)
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_wilson_against_scipy(n, share):
    successes = round(share * n)
    interval = binomtest(successes, n).proportion_ci(method="wilson")
    low, high = wilson(successes, n)
    assert np.allclose([low, high], [interval.low, interval.high], atol=1e-12)
    assert 0 <= low <= successes / n <= high <= 1


def test_a_mean_over_seeds_lies_between_whole_numbers():
    ends = [wilson(successes, 10) for successes in (7, 7.5, 8)]
    assert sorted(ends) == ends
    assert len(set(ends)) == 3


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_no_share(successes, n):
    with pytest.raises(ValueError, match="no share"):
        wilson(successes, n)
