import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, spearmanr

from clipcause.stats.statistics import spearman, spearman_rows, wilson


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


@given(
    values=st.lists(
        st.tuples(st.integers(0, 6), st.floats(-1e9, 1e9, width=32)), min_size=3, max_size=30
    )
)
def test_spearman_against_scipy(values):
    a, b = (np.array(column, float) for column in zip(*values, strict=True))
    found = spearman(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
        assert spearman(a, a) == 1.0


def test_spearman_of_many_rows_is_that_of_each():
    random = np.random.default_rng(0)
    a_RC, b_C = random.integers(0, 5, (6, 9)), random.random(9)
    a_RC[2] = 1  # equal values: none
    found = spearman_rows(a_RC, b_C)
    assert np.isnan(found).tolist() == [False, False, True, False, False, False]
    assert found[0] == spearman(a_RC[0], b_C)


def test_two_points_say_nothing_and_infinity_is_no_value():
    assert spearman(np.array([1, 2]), np.array([3, 4])) is None
    with pytest.raises(ValueError, match="not finite"):
        spearman(np.array([1, 2, np.inf]), np.array([3, 4, 5]))
