"""What each of several properties explains: by hand, and against every order written out."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.stats import regression
from clipcause.stats.logistic import Undefined
from clipcause.stats.regression import (
    Regression,
    correlations,
    inflations,
    regress,
    shares,
    shuffled,
)

DRAWS = {"resamples": 200, "seed": 0}


def floats(values):
    return np.array(values, dtype=np.float64)


def drawn(seed, units=24, count=3, together=0.6):
    """Properties that go together, and a value that the first two make, with noise."""
    rng = np.random.default_rng(seed)
    own_UK = rng.standard_normal((units, count)) + together * rng.standard_normal((units, 1))
    value_U = own_UK[:, 0] - 0.5 * own_UK[:, min(1, count - 1)] + 0.5 * rng.standard_normal(units)
    return {f"p{k}": own_UK[:, k] for k in range(count)}, value_U


def fitted(properties, value_U, **changes):
    found = regress(properties, value_U, **DRAWS | changes)
    assert isinstance(found, Regression)
    return found


def least_squares(design_UK, value_U):
    """R² of an ordinary fit with an intercept."""
    full = np.column_stack([np.ones(len(value_U)), design_UK])
    rest_U = value_U - full @ np.linalg.lstsq(full, value_U, rcond=None)[0]
    centred_U = value_U - value_U.mean()
    return 1 - float(rest_U @ rest_U) / float(centred_U @ centred_U)


def over_orders(design_UK, value_U):
    """What each column adds when it comes in, for every order in which they can."""
    count = design_UK.shape[1]
    added = []
    for order in permutations(range(count)):
        steps = [least_squares(design_UK[:, order[:k]], value_U) for k in range(count + 1)]
        gain_K = np.zeros(count)
        gain_K[list(order)] = np.diff(steps)
        added.append(gain_K)
    return np.mean(added, axis=0)


@given(st.integers(0, 2**32), st.integers(1, 5), st.floats(0, 3))
def test_shares_are_the_mean_over_all_orders_and_add_up(seed, count, together):
    properties, value_U = drawn(seed, count=count, together=together)
    design_UK = np.stack([*properties.values()], axis=1)
    (share_K,) = shares(correlations(np.column_stack([design_UK, value_U]))[None])
    assert share_K == pytest.approx(over_orders(design_UK, value_U), abs=1e-9)
    assert share_K.sum() == pytest.approx(least_squares(design_UK, value_U), abs=1e-9)
    assert share_K.min() > -1e-9


def test_shares_of_properties_that_do_not_go_together_are_squared_correlations():
    one, other = floats([1, 1, -1, -1] * 3), floats([1, -1, 1, -1] * 3)
    value_U = 3 * one + other + 2 * floats([1, -1, -1, 1] * 3)
    found = fitted({"one": one, "other": other}, value_U)
    # of a variance of 9 + 1 + 4
    assert found.parts["one"].share.value == pytest.approx(9 / 14)
    assert found.parts["other"].share.value == pytest.approx(1 / 14)
    assert found.explained.value == pytest.approx(10 / 14)
    assert found.adjusted == pytest.approx(1 - 4 / 14 * 11 / 9)
    assert [part.inflation for part in found.parts.values()] == pytest.approx([1, 1])
    # a standard deviation of either is √(12 / 11)
    assert found.parts["one"].slope is not None
    assert found.parts["one"].slope.value == pytest.approx(3 * (12 / 11) ** 0.5)
    assert found.together == []


def test_inflation_of_two_by_hand():
    assert inflations(floats([[1, 0.6], [0.6, 1]])) == pytest.approx([1 / 0.64] * 2)
    assert inflations(floats([[1.0]])) == [1.0]
    assert inflations(floats([[1, -1], [-1, 1]])) == [None, None]


@given(st.integers(0, 2**32))
def test_inflation_is_that_of_each_property_on_the_others(seed):
    properties, _ = drawn(seed, count=4, together=2.0)
    design_UK = np.stack([*properties.values()], axis=1)
    for k, found in enumerate(inflations(correlations(design_UK))):
        share = least_squares(np.delete(design_UK, k, axis=1), design_UK[:, k])
        assert found == pytest.approx(1 / (1 - share))


def test_a_property_that_explains_nothing_gets_one_part_of_the_units_less_one():
    rng = np.random.default_rng(0)
    design_UK, value_U = rng.standard_normal((6, 2)), rng.standard_normal(6)
    every = [
        correlations(np.column_stack([design_UK, value_U[list(order)]]))
        for order in permutations(range(6))
    ]
    assert shares(np.stack(every)).mean(axis=0) == pytest.approx([1 / 5, 1 / 5])


def test_a_share_is_held_against_shuffled_values():
    """Of one property it is a squared correlation, and 19 of 20 of those are below t's."""
    properties, value_U = drawn(0, count=1, units=24)
    (part,) = fitted(properties, value_U, resamples=4000).parts.values()
    edge = 2.0739**2  # of t with 22 degrees of freedom, two-sided
    assert part.chance == pytest.approx(edge / (edge + 22), abs=0.02)
    shares_RK = shuffled(
        np.column_stack([properties["p0"], value_U]), np.random.default_rng(1), 2000
    )
    assert shares_RK.mean() == pytest.approx(1 / 23, abs=0.005)
    copy = fitted(properties | {"p0": value_U + 0.0}, value_U)
    assert copy.parts["p0"].is_beyond_chance


def test_slopes_have_the_errors_of_leaving_units_out():
    """HC3 against a fit without each unit, whose error there is the rest over 1 - leverage."""
    properties, value_U = drawn(3, units=15)
    found = fitted(properties, value_U)
    design_UK = np.stack([*properties.values()], axis=1)
    scaled_UK = (design_UK - design_UK.mean(axis=0)) / design_UK.std(axis=0, ddof=1)
    full = np.column_stack([np.ones(15), scaled_UK])
    weights = np.linalg.pinv(full)
    missed_U = []
    for u in range(15):
        others = np.arange(15) != u
        without = np.linalg.lstsq(full[others], value_U[others], rcond=None)[0]
        missed_U.append(value_U[u] - full[u] @ without)
    error_L = np.sqrt((weights**2) @ floats(missed_U) ** 2)
    slope_L = weights @ value_U
    for k, part in enumerate(found.parts.values(), 1):
        assert part.slope is not None
        assert part.slope.value == pytest.approx(slope_L[k])
        # the 97.5 % quantile of t with 11 degrees of freedom
        assert part.slope.high - part.slope.value == pytest.approx(2.2009852 * error_L[k])


def test_a_slope_rests_on_the_units_without_which_its_interval_holds_zero():
    """Of 20 units one differs much in a property, and its value is as the others' let expect."""
    rng = np.random.default_rng(7)
    broad_U, alone_U = rng.standard_normal(20), 0.1 * rng.standard_normal(20)
    alone_U[7] = 1.0
    value_U = 2 * broad_U + 3 * alone_U + 0.6 * rng.standard_normal(20)
    found = fitted({"broad": broad_U, "alone": alone_U}, value_U).parts
    assert (found["broad"].rests_on, found["alone"].rests_on) == ((), (7,))
    for left in range(20):
        others = np.arange(20) != left
        without = {"broad": broad_U[others], "alone": alone_U[others]}
        for name, part in fitted(without, value_U[others], resamples=2).parts.items():
            assert part.slope is not None
            assert part.slope.is_distinguishable == (left not in found[name].rests_on)


def test_a_slope_that_is_not_told_from_zero_rests_on_nothing():
    rng = np.random.default_rng(4)
    properties = {"one": rng.standard_normal(20), "other": rng.standard_normal(20)}
    for part in fitted(properties, rng.standard_normal(20)).parts.values():
        assert part.slope is not None
        assert not part.slope.is_distinguishable
        assert part.rests_on == ()
    # a unit that alone has a property is fitted exactly, and there is no slope
    alone = fitted({"one": properties["one"], "alone": np.eye(20)[3]}, rng.standard_normal(20))
    assert [(part.slope, part.rests_on) for part in alone.parts.values()] == [(None, ())] * 2


def test_intervals_of_shares_hold_what_the_units_were_drawn_from():
    """The share of the one property that there is, is a squared correlation: 1 / 2."""
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        one_U = rng.standard_normal(40)
        found = fitted({"one": one_U}, one_U + rng.standard_normal(40))
        held += found.parts["one"].share.low < 0.5 < found.parts["one"].share.high
    assert held / 200 > 0.88


def test_properties_that_determine_one_another_share_and_have_no_slope():
    properties, value_U = drawn(0)
    found = fitted({"one": properties["p0"], "twice": 2 * properties["p0"] + 1}, value_U)
    one, twice = found.parts["one"], found.parts["twice"]
    assert one.share.value == pytest.approx(twice.share.value)
    assert (one.inflation, one.slope, twice.slope) == (None, None, None)
    ((first, second, r),) = found.together
    assert (first, second, r) == ("one", "twice", pytest.approx(1.0))


def test_what_is_the_same_in_all_units_is_left_out():
    properties, value_U = drawn(0)
    found = fitted({**properties, "flat": np.full(24, 0.1)}, value_U)
    assert found.constant == ["flat"]
    assert list(found.parts) == list(properties)
    assert found.parts == fitted(properties, value_U).parts


def test_too_few_units_have_no_numbers():
    properties, value_U = drawn(0, units=8)
    found = regress(properties, value_U, **DRAWS)
    assert isinstance(found, Undefined)
    assert found.reason.startswith("8 splits and their 3 properties")
    assert str(regression.PER_PROPERTY * 3) in found.reason
    flat = regress(drawn(0)[0], np.ones(24), **DRAWS)
    assert isinstance(flat, Undefined)
    assert "the same after all 24 splits" in flat.reason
    assert isinstance(regress({}, value_U, **DRAWS), Undefined)


def test_the_order_of_units_is_no_matter_to_values_and_a_seed_gives_the_same_intervals():
    properties, value_U = drawn(5)
    found, order_U = fitted(properties, value_U), np.random.default_rng(1).permutation(24)
    assert found == fitted(properties, value_U)
    turned = fitted({name: one[order_U] for name, one in properties.items()}, value_U[order_U])
    for name, part in found.parts.items():
        assert turned.parts[name].share.value == pytest.approx(part.share.value)
        assert part.share.low <= part.share.value
