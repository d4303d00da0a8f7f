"""Logistic fits, the share of a drop, effective robustness: worked by hand, against brute force and
on simulations whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special

from clipcause.stats import decomposition, logistic, robustness
from clipcause.stats.decomposition import Explained
from clipcause.stats.logistic import Fit, Undefined


def floats(values):
    return np.array(values, dtype=np.float64)


def drawn(seed, *, classes=60, images=8, slope=0.6, spread=0.0):
    """Designs of similarity and frequency, answers, and classes that differ in their ease."""
    rng = np.random.default_rng(seed)
    class_N = np.repeat(np.arange(classes), images)
    design_NK = decomposition.design(
        rng.uniform(0.4, 1.0, len(class_N)), 2.0 ** rng.integers(0, 9, classes)[class_N]
    )
    ease_N = spread * rng.standard_normal(classes)[class_N]
    chance_N = special.expit(design_NK @ floats([-5.0, slope, 0.2]) + ease_N)
    return design_NK, floats(rng.random(len(class_N)) < chance_N), class_N


def fitted(*arguments):
    found = logistic.fit(*arguments)
    assert isinstance(found, Fit)
    return found


def test_a_saturated_fit_is_the_odds_of_two_groups():
    # 1 of 4 right at 0, 3 of 4 at 1: odds of 1/3 and of 3
    design_NK = np.stack([np.ones(8), np.repeat([0.0, 1.0], 4)], axis=1)
    found = fitted(design_NK, floats([1, 0, 0, 0, 1, 1, 1, 0]), np.arange(8))
    assert found.coefficient_K == pytest.approx([-np.log(3), np.log(9)])
    assert found.interval(1) is None  # 8 groups are too few for one


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_the_maximum_of_the_likelihood(seed):
    design_NK, outcome_N, class_N = drawn(seed)

    def loss(coefficient_K):
        margin_N = np.where(outcome_N == 1, 1, -1) * (design_NK @ coefficient_K)
        return np.logaddexp(0, -margin_N).sum()

    found = fitted(design_NK, outcome_N, class_N)
    best = optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options={"maxiter": 5000})
    assert loss(found.coefficient_K) <= best.fun + 1e-9
    assert found.coefficient_K == pytest.approx(best.x, abs=0.01)


def test_with_groups_of_one_the_variance_is_whites():
    design_NK, outcome_N, _ = drawn(4)
    found = fitted(design_NK, outcome_N, np.arange(len(outcome_N)))
    chance_N = special.expit(design_NK @ found.coefficient_K)
    bread = np.zeros((3, 3))
    meat = np.zeros((3, 3))
    for row, outcome, chance in zip(design_NK, outcome_N, chance_N, strict=True):
        bread += chance * (1 - chance) * np.outer(row, row)
        meat += (outcome - chance) ** 2 * np.outer(row, row)
    n = len(outcome_N)
    expected = np.linalg.inv(bread) @ meat @ np.linalg.inv(bread) * n / (n - 1)
    assert found.covariance_KK == pytest.approx(expected)


def test_intervals_know_that_images_of_a_class_are_not_independent():
    """A column that is the same within a class, which has no effect but whose classes differ."""
    by_class, by_image = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        class_N = np.repeat(np.arange(40), 10)
        design_NK = np.stack([np.ones(400), rng.standard_normal(40)[class_N]], axis=1)
        ease_N = 1.5 * rng.standard_normal(40)[class_N]
        outcome_N = floats(rng.random(400) < special.expit(ease_N))
        for found, group_N in ((by_class, class_N), (by_image, np.arange(400))):
            interval = fitted(design_NK, outcome_N, group_N).interval(1)
            assert interval is not None
            found.append(interval.low <= 0 <= interval.high)
    assert np.mean(by_class) > 0.88  # of 95 %; with 40 groups a little too short, as is known
    assert np.mean(by_image) < 0.75


def test_a_share_of_seeds_is_that_many_answers_of_each_kind():
    design_NK, outcome_N, class_N = drawn(5)
    other_N = drawn(6)[1]
    twice = fitted(
        np.concatenate([design_NK, design_NK]),
        np.concatenate([outcome_N, other_N]),
        np.tile(class_N, 2),
    )
    once = fitted(design_NK, (outcome_N + other_N) / 2, class_N)
    assert once.coefficient_K == pytest.approx(twice.coefficient_K)
    # the variance is that of groups: the second row of an image tells nothing new
    assert once.covariance_KK == pytest.approx(twice.covariance_KK)


@pytest.mark.parametrize(
    ("similarity", "outcome", "reason"),
    [
        ([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], "separated"),
        ([0.1, 0.2, 0.2, 0.4], [0, 0, 1, 1], "separated"),  # but for a tie
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], "one value"),
        ([0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1], "equal"),
        ([], [], "no images"),
    ],
)
def test_what_has_no_maximum_has_a_reason_and_no_number(similarity, outcome, reason):
    design_NK = decomposition.design(floats(similarity), None)
    found = logistic.fit(design_NK, floats(outcome), np.arange(len(outcome)))
    assert isinstance(found, Undefined)
    assert reason in found.reason


def test_a_column_that_follows_from_others_is_no_column():
    design_NK, outcome_N, class_N = drawn(7)
    design_NK = np.column_stack([design_NK, design_NK[:, 1] + 2 * design_NK[:, 2]])
    assert isinstance(logistic.fit(design_NK, outcome_N, class_N), Undefined)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=3, max_size=20))
def test_one_column_is_separated_where_right_and_wrong_overlap_in_no_more_than_a_value(pairs):
    x_N, y_N = (floats(column) for column in zip(*pairs, strict=True))
    right, wrong = x_N[y_N == 1], x_N[y_N == 0]
    if not len(right) or not len(wrong) or np.ptp(x_N) == 0:
        return
    expected = right.min() >= wrong.max() or right.max() <= wrong.min()
    assert logistic.is_separated(np.stack([np.ones_like(x_N), x_N], axis=1), y_N) == expected


def test_outcomes_that_are_no_shares_are_an_error():
    design_NK = decomposition.design(floats([0.1, 0.2, 0.3]), None)
    with pytest.raises(ValueError, match="not shares"):
        logistic.fit(design_NK, floats([0, 1, 2]), np.arange(3))
    with pytest.raises(ValueError, match="not finite"):
        logistic.fit(design_NK, floats([0, 1, np.nan]), np.arange(3))


def test_refitting_under_weights_is_fitting_repeated_rows():
    design_NK, outcome_N, class_N = drawn(8, classes=30)
    weight_RN = np.random.default_rng(0).integers(0, 4, (5, len(outcome_N))).astype(float)
    found_RK = logistic.refit(design_NK, outcome_N, weight_RN, np.zeros(3))
    for weight_N, found_K in zip(weight_RN, found_RK, strict=True):
        rows = np.repeat(np.arange(len(outcome_N)), weight_N.astype(int))
        alone = fitted(design_NK[rows], outcome_N[rows], class_N[rows])
        assert found_K == pytest.approx(alone.coefficient_K, abs=1e-6)


def test_a_class_without_rows_counts_as_half_a_row():
    found_QK = decomposition.design(floats([0.5, 0.6, 0.7]), floats([0, 1, 8]))
    assert found_QK == pytest.approx(floats([[1, 5, -1], [1, 6, 0], [1, 7, 3]]))


# --- the share of a drop


def explained(control_Q, before_Q, after_Q, pruned_Q, class_Q=None, resamples=200):
    class_Q = np.arange(len(control_Q)) if class_Q is None else class_Q
    return decomposition.explain(
        decomposition.design(before_Q, None)[None], control_Q[None], after_Q, pruned_Q, class_Q,
        resamples=resamples, seed=0,
    )  # fmt: skip


def test_the_share_of_a_drop_by_hand():
    """Two similarities, hence a fit that is the accuracies themselves: 30 % at .5, 80 % at .9. Half
    of the images at .9 come to .5, which predicts 50 points for each: 12.5 for all. 25 are lost."""
    before_Q = np.repeat([0.5, 0.9], 200)
    control_Q = np.tile(
        np.concatenate([np.repeat([1.0, 0.0], [30, 70]), np.repeat([1.0, 0.0], [80, 20])]), 2
    )
    control_Q = np.concatenate(
        [control_Q[:100], control_Q[:100], control_Q[100:200], control_Q[100:200]]
    )
    after_Q = np.where(np.arange(400) < 300, before_Q, 0.5)
    pruned_Q = control_Q.copy()
    pruned_Q[np.flatnonzero(control_Q)[:100]] = 0.0
    found = explained(control_Q, before_Q, after_Q, pruned_Q)
    assert isinstance(found, Explained)
    assert found.drop.value == pytest.approx(0.25)
    assert found.predicted.value == pytest.approx(0.125)
    assert found.share.value == pytest.approx(0.5)
    assert found.share.low < 0.5 < found.share.high
    assert found.kept == 300
    # the first 100 right answers are 30 + 30 at .5 and 40 at .9, all of them among the images kept
    assert found.kept_drop.value == pytest.approx(100 / 300)


def simulated(seed, *, slope, lost, moves=True, classes=400):
    """A control and a pruned model: similarities fall to that of the reference, answers follow a
    logistic law of similarity, and `lost` is what else falls, in log odds."""
    rng = np.random.default_rng(seed)
    class_Q = np.repeat(np.arange(classes), 10)
    before_Q = rng.uniform(0.4, 1.0, len(class_Q))
    after_Q = np.minimum(before_Q, rng.uniform(0.4, 1.0, len(class_Q))) if moves else before_Q
    ease_Q = 0.3 * rng.standard_normal(classes)[class_Q] - 10 * slope * 0.6 + 0.5
    control_Q = floats(rng.random(len(class_Q)) < special.expit(ease_Q + 10 * slope * before_Q))
    pruned_Q = floats(
        rng.random(len(class_Q)) < special.expit(ease_Q + 10 * slope * after_Q - lost)
    )
    return explained(control_Q, before_Q, after_Q, pruned_Q, class_Q)


def test_a_drop_by_similarity_alone_is_explained():
    found = [simulated(seed, slope=0.8, lost=0.0) for seed in range(8)]
    assert np.mean([one.share.value for one in found]) == pytest.approx(1, abs=0.06)
    assert sum(one.share.low <= 1 <= one.share.high for one in found) >= 7
    # images whose neighbour stayed lose nothing
    assert sum(one.kept_drop.low <= 0 <= one.kept_drop.high for one in found) >= 7


def test_a_drop_by_anything_else_is_not_explained():
    found = [simulated(seed, slope=0.0, lost=0.8) for seed in range(8)]
    assert np.mean([one.share.value for one in found]) == pytest.approx(0, abs=0.03)
    assert sum(one.share.low <= 0 <= one.share.high for one in found) >= 7


def test_half_of_a_drop():
    both = [simulated(seed, slope=0.8, lost=0.65) for seed in range(4)]
    alone = [simulated(seed, slope=0.8, lost=0.0) for seed in range(4)]
    truth = np.mean([one.drop.value for one in alone]) / np.mean([one.drop.value for one in both])
    assert 0.35 < truth < 0.65
    assert np.mean([one.share.value for one in both]) == pytest.approx(truth, abs=0.06)


def test_where_no_similarity_changes_nothing_is_predicted():
    found = simulated(1, slope=0.8, lost=0.8, moves=False)
    assert found.share.value == found.share.low == found.share.high == 0
    assert found.kept == 4000
    assert found.kept_drop == found.drop


def test_a_difference_that_may_be_none_has_no_share():
    found = simulated(2, slope=0.0, lost=0.0)
    assert isinstance(found.share, Undefined)
    assert not found.drop.is_distinguishable


def test_without_a_fit_there_is_no_share():
    found = explained(np.ones(20), np.linspace(0.4, 1, 20), np.full(20, 0.4), np.zeros(20))
    assert isinstance(found, Undefined)


def test_the_bootstrap_is_that_of_drawn_classes_each_fitted_anew():
    design_NK, control_Q, class_Q = drawn(9, classes=25, images=6)
    pruned_Q, after_Q = drawn(10, classes=25, images=6)[1], design_NK[:, 1] / 10 - 0.1
    found = decomposition.explain(
        np.stack([design_NK] * 2), np.stack([control_Q, drawn(11, classes=25, images=6)[1]]),
        after_Q, pruned_Q, class_Q, resamples=150, seed=3,
    )  # fmt: skip
    assert isinstance(found, Explained)
    other_Q = drawn(11, classes=25, images=6)[1]
    moved_NK = design_NK.copy()
    moved_NK[:, 1] -= 1
    drops, predicted = [], []
    for drawn_C in decomposition.resample(25, resamples=150, seed=3).astype(int):
        rows = np.concatenate(
            [np.flatnonzero(class_Q == c) for c in np.repeat(np.arange(25), drawn_C)]
        )
        both = fitted(
            np.concatenate([design_NK[rows]] * 2),
            np.concatenate([control_Q[rows], other_Q[rows]]),
            np.tile(class_Q[rows], 2),
        )
        change = special.expit(design_NK[rows] @ both.coefficient_K)
        change -= special.expit(moved_NK[rows] @ both.coefficient_K)
        predicted.append(change.mean())
        drops.append(((control_Q + other_Q)[rows] / 2 - pruned_Q[rows]).mean())
    ends = [0.025, 0.975]
    assert [found.drop.low, found.drop.high] == pytest.approx(np.quantile(drops, ends))
    assert [found.predicted.low, found.predicted.high] == pytest.approx(
        np.quantile(predicted, ends), abs=1e-7
    )


# --- effective robustness


def logits(values):
    return np.log(floats(values) / (1 - floats(values)))


def measured(usual, shifted, supervised, draws=0):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (draws + 100, 2, len(usual)))
    noise[0] = 0
    x_RM, y_RM = logits(usual) + noise[:, 0], logits(shifted) + noise[:, 1]
    return robustness.measure(x_RM, y_RM, special.expit(y_RM), np.array(supervised))


def test_one_supervised_model_has_a_line_of_slope_one():
    # odds of 4 fall to 1 for the supervised model; from odds of 9 the line gives 9/4, 69.2 %
    found = measured([0.8, 0.9], [0.5, 0.8], [True, False])
    assert (found.kind, found.slope) == (robustness.SLOPE_1, None)
    assert found.rho_M[0].value == pytest.approx(0)
    assert found.rho_M[1].value == pytest.approx(0.8 - 9 / 13)


def test_three_supervised_models_have_a_fitted_line():
    # slope 2 and intercept -1 in log odds, exactly
    usual = [0.5, 0.7, 0.8, 0.6]
    shifted = [*special.expit(2 * logits(usual[:3]) - 1), 0.5]
    found = measured(usual, shifted, [True, True, True, False])
    assert found.kind == robustness.FITTED
    assert found.slope.value == pytest.approx(2)
    assert found.intercept == pytest.approx(-1)
    assert [one.value for one in found.rho_M[:3]] == pytest.approx([0, 0, 0])
    # odds of 1.5 squared over e
    assert found.rho_M[3].value == pytest.approx(0.5 - 1 / (1 + np.e / 2.25))


def test_supervised_models_that_lie_together_have_no_slope():
    found = measured([0.7, 0.7001, 0.7002, 0.8], [0.5, 0.4, 0.51, 0.6], [True, True, True, False])
    assert found.kind == robustness.SLOPE_1
    assert not found.slope.is_distinguishable
    centre = logits([0.7, 0.7001, 0.7002]).mean(), logits([0.5, 0.4, 0.51]).mean()
    expected = 0.6 - special.expit(logits(0.8) - centre[0] + centre[1])
    assert found.rho_M[3].value == pytest.approx(expected)


def test_a_line_that_falls_is_given_but_not_used():
    usual = [0.5, 0.7, 0.8, 0.6]
    found = measured(usual, [*special.expit(1 - 2 * logits(usual[:3])), 0.5], [True] * 3 + [False])
    assert found.slope.value == pytest.approx(-2)
    assert found.slope.is_distinguishable
    assert found.kind == robustness.SLOPE_1


def test_without_supervised_models_there_is_no_line():
    found = measured([0.7, 0.8], [0.5, 0.6], [False, False])
    assert (found.kind, found.rho_M) == (robustness.NO_LINE, None)


def test_log_odds_of_none_and_of_all_are_finite():
    found = robustness.logit(floats([0, 5, 10]), floats([10, 10, 10]))
    assert found == pytest.approx([-np.log(19), 0, np.log(19)])


def predicted_and_seen(seed, *, runs=4, spread=0.5, pruned_spread=0.5):
    """Controls and runs on a pruned split whose abilities differ from run to run, on images whose
    similarity pruning lowered; and the drop that was predicted and seen were all runs average."""
    rng = np.random.default_rng(seed)
    class_Q = np.repeat(np.arange(40), 8)
    similarity_Q = rng.uniform(0.5, 1.0, len(class_Q))
    lower_Q = similarity_Q - rng.uniform(0.0, 0.2, len(class_Q))

    def right(of_Q, many, spread):
        ability_S = spread * rng.standard_normal((many, 1))
        return rng.random((many, len(of_Q))) < special.expit(-6 + 8 * of_Q + ability_S)

    control_TQ, pruned_SQ = right(similarity_Q, runs, spread), right(lower_Q, runs, pruned_spread)
    design_QK = decomposition.design(similarity_Q, None)
    of_runs = decomposition.Runs([(design_QK, floats(one)) for one in control_TQ], pruned_SQ)
    words = design_QK[None], control_TQ.mean(axis=0)[None], lower_Q, pruned_SQ.mean(axis=0), class_Q
    return words, of_runs


def test_intervals_over_runs_are_wider_where_runs_differ():
    words, runs = predicted_and_seen(0)
    alone = decomposition.explain(*words, resamples=400, seed=0)
    both = decomposition.explain(*words, resamples=400, seed=0, runs=runs)
    assert isinstance(alone, Explained)
    assert isinstance(both, Explained)
    assert (alone.covers_runs, both.covers_runs) == (False, True)
    for name in ("drop", "predicted", "excess"):
        one, other = getattr(alone, name), getattr(both, name)
        assert one.value == other.value
        assert other.high - other.low > one.high - one.low
    assert both.excess.value == pytest.approx(both.predicted.value - both.drop.value)


def test_intervals_of_predicted_less_seen_hold_the_truth():
    # the fit is the true one and abilities are about zero: what is predicted is what is seen
    held = 0
    for seed in range(100):
        words, runs = predicted_and_seen(seed)
        found = decomposition.explain(*words, resamples=200, seed=0, runs=runs)
        assert isinstance(found, Explained)
        held += found.excess.low <= 0 <= found.excess.high
    assert held >= 93
