"""Comparisons of two conditions: intervals over images and runs, tests, what could be detected."""

import itertools
import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats

from clipcause.stats import comparison
from clipcause.stats.comparison import (
    DURKALSKI,
    MCNEMAR,
    T_TEST,
    Z_ALPHA,
    Z_POWER,
    analyse,
    compare,
    detectable_errors,
    detectable_mcnemar,
    durkalski,
    holm,
    mcnemar,
    paired_bootstrap,
)

shares = st.floats(0.0, 1.0)


def floats(values):
    return np.array(values, dtype=np.float64)


def conditions(rng, runs, images, noise):
    """Two conditions of the same kind on the same images, whose difference is zero on average."""
    ease_Q = rng.normal(0, 1.2, images)
    return [
        0.6 + ease_Q + rng.normal(0, noise, (count, 1)) + rng.normal(0, 0.8, (count, images)) > 0
        for count in runs
    ]


def test_holm_by_hand():
    # .005 x 4, .01 x 3, .03 x 2, and .04 is not below the one before it
    assert holm(floats([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(floats([0.6, 0.9])).tolist() == [1.0, 1.0]
    assert holm(floats([0.02])).tolist() == [0.02]
    assert holm(floats([])).tolist() == []
    with pytest.raises(ValueError, match="not between 0 and 1"):
        holm(floats([0.1, np.nan]))


@given(st.lists(shares, min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(values):
    """A hypothesis falls where every intersection that it is part of falls by Bonferroni."""
    expected = [
        max(
            min(1.0, size * min(values[j] for j in chosen))
            for size in range(1, len(values) + 1)
            for chosen in itertools.combinations(range(len(values)), size)
            if i in chosen
        )
        for i in range(len(values))
    ]
    assert holm(floats(values)) == pytest.approx(expected, abs=1e-12)


@given(st.lists(shares, min_size=2, max_size=30))
def test_holm_keeps_the_order_and_never_lowers(values):
    p_M = floats(values)
    corrected_M = holm(p_M)
    assert (corrected_M >= p_M).all()
    assert (np.diff(corrected_M[np.argsort(p_M, kind="stable")]) >= 0).all()
    assert (corrected_M <= np.minimum(1, p_M * len(p_M)) + 1e-15).all()  # Bonferroni's


def test_mcnemar_by_hand():
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)  # 2 (1 + 10) / 2^10
    assert mcnemar(5, 5) == mcnemar(0, 0) == 1.0


@given(st.integers(0, 6), st.integers(0, 6))
def test_mcnemar_is_the_flip_of_every_discordant_image(only_a, only_b):
    count = only_a + only_b
    flips = [sum(signs) for signs in itertools.product((-1, 1), repeat=count)]
    expected = np.mean([abs(total) >= abs(only_a - only_b) for total in flips])
    assert mcnemar(only_a, only_b) == pytest.approx(expected)


@given(st.integers(0, 30), st.integers(0, 30))
def test_the_counterpart_over_several_runs_is_mcnemars_for_one(only_a, only_b):
    difference_Q = floats([1] * only_a + [-1] * only_b + [0] * 5)
    if not only_a + only_b:
        assert durkalski(difference_Q) == 1.0
        return
    square = (only_a - only_b) ** 2 / (only_a + only_b)
    assert durkalski(difference_Q) == pytest.approx(stats.chi2.sf(square, 1))


@given(st.floats(0.001, 1.0), st.integers(5, 100_000))
def test_the_detectable_difference_solves_connors_equation(discordance, images):
    x = detectable_mcnemar(discordance, images)
    assert x is not None
    d = max(discordance, x)  # models cannot differ by more than they disagree
    right = Z_ALPHA * math.sqrt(d) + Z_POWER * math.sqrt(d - x * x)
    assert x * math.sqrt(images) == pytest.approx(right, rel=1e-6, abs=1e-7)
    assert 0 < x <= 1


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.integers(4, 5000))
def test_more_images_and_less_disagreement_show_smaller_differences(one, other, images):
    low, high = sorted((one, other))
    few, more = detectable_mcnemar(low, images), detectable_mcnemar(low, 2 * images)
    often = detectable_mcnemar(high, images)
    assert few is not None
    assert more is not None
    assert often is not None
    assert more - 1e-12 <= few <= often + 1e-12


def test_of_three_images_nothing_can_be_detected():
    assert detectable_mcnemar(0.5, 3) is None
    # worked by hand: 0.1 x 10 = 1.96 √d + 0.84 √(d - 0.01) has d = 0.1304
    assert detectable_mcnemar(0.13044, 100) == pytest.approx(0.1, abs=1e-4)


def test_mcnemar_has_the_power_that_the_detectable_difference_states():
    rng = np.random.default_rng(0)
    images, discordance = 600, 0.2
    x = detectable_mcnemar(discordance, images)
    assert x is not None
    chances = [(discordance + x) / 2, (discordance - x) / 2, 1 - discordance]
    drawn = rng.multinomial(images, chances, size=800)
    power = np.mean([mcnemar(int(a), int(b)) < 0.05 for a, b, _ in drawn])
    assert 0.73 < power < 0.84  # the exact test is careful


def test_the_parts_of_the_variance_by_hand():
    # A: runs all right and all wrong, no image matters; B: runs alike, one image right
    spread = analyse(floats([[1, 1], [0, 0]]), floats([[1, 0], [1, 0]]))
    assert (spread.runs, spread.images, spread.all_images) == (0.25, 0.25, 0.25)
    assert spread.variance == 0.5
    assert spread.freedom == pytest.approx(0.5**2 / (0.25**2 / 1))


@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(2, 4), st.integers(2, 9))
def test_the_parts_of_the_variance_against_loops(seed, runs_a, runs_b, images):
    rng = np.random.default_rng(seed)
    a, b = rng.random((runs_a, images)), rng.random((runs_b, images))
    rest, runs = 0.0, 0.0
    for one in (a, b):
        count = len(one)
        mean = sum(one.ravel()) / one.size
        means = [sum(row) / images for row in one]
        runs += sum((m - mean) ** 2 for m in means) / (count - 1) / count
        square = 0.0
        for s in range(count):
            for q in range(images):
                square += (one[s, q] - means[s] - sum(one[:, q]) / count + mean) ** 2
        rest += square / (count - 1) / (images - 1) / count / images
    d = [sum(a[:, q]) / runs_a - sum(b[:, q]) / runs_b for q in range(images)]
    every = sum((x - sum(d) / images) ** 2 for x in d) / (images - 1) / images
    spread = analyse(a, b)
    assert spread.runs == pytest.approx(runs)
    assert spread.all_images == pytest.approx(every)
    assert spread.images == pytest.approx(max(every - rest, 0.0), abs=1e-12)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("runs", [(2, 2), (3, 3), (2, 5)])
def test_intervals_of_several_runs_hold_the_truth_as_often_as_they_say(runs, noise):
    """In 300 studies of two equal conditions about 285 intervals have zero in them, with two runs
    against five some less; runs that are alike are no exception."""
    rng = np.random.default_rng([*runs, int(10 * noise)])
    found = [
        compare(*conditions(rng, runs, 150, noise), resamples=200, seed=seed) for seed in range(300)
    ]
    assert 0.87 < np.mean([not one.difference.is_distinguishable for one in found]) < 0.99
    assert 0.88 < np.mean([one.p >= 0.05 for one in found]) < 0.99
    assert all(one.covers_runs and one.test == T_TEST for one in found)


def test_pooled_noise_is_the_mean_square_within_of_a_one_way_analysis_of_variance():
    """By SciPy's own: F is the mean square between over that within."""
    rng = np.random.default_rng(3)
    made = [conditions(rng, (runs, 1), 50, 0.5)[0] for runs in (3, 5, 2)]
    noise = comparison.pooled([*made, made[0][:1]])  # one run says nothing of noise
    assert noise is not None
    means = [one.mean(axis=1) for one in made]
    every = np.concatenate(means)
    between = sum(len(one) * (one.mean() - every.mean()) ** 2 for one in means) / (len(means) - 1)
    assert between / noise.variance == pytest.approx(stats.f_oneway(*means).statistic)
    assert noise.freedom == 7
    assert np.mean(noise.effects_P**2) == pytest.approx(noise.variance)
    assert noise.bartlett == pytest.approx(stats.bartlett(*means).pvalue)


def test_noise_that_cannot_be_pooled():
    rng = np.random.default_rng(4)
    runs_SQ = conditions(rng, (2, 2), 30, 0.5)[0]
    assert comparison.pooled([runs_SQ[:1], runs_SQ[1:]]) is None  # one run each
    assert comparison.pooled([runs_SQ[[0, 0]], runs_SQ[[1, 1]]]) is None  # copies
    one = comparison.pooled([runs_SQ])
    assert one is not None
    assert one.bartlett is None  # of one condition


@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_intervals_with_pooled_noise_hold_the_truth_as_often_as_they_say(runs, noise):
    """A study of six conditions; `benchmarks/coverage.md` has 2,000 studies a line."""
    rng, held, studies = np.random.default_rng(runs), 0, 400
    for _ in range(studies):
        made = conditions(rng, (runs,) * 6, 200, noise)
        found = compare(made[0], made[1], resamples=500, seed=0, noise=comparison.pooled(made))
        held += found.difference.low <= 0 <= found.difference.high
    assert 0.925 <= held / studies <= 0.98  # two standard errors about .95


@given(st.integers(0, 1000), st.integers(2, 4), st.integers(2, 4))
def test_pooled_noise_is_the_same_comparison_either_way_round(seed, runs_a, runs_b):
    rng = np.random.default_rng(seed)
    made = conditions(rng, (runs_a, runs_b, 3), 20, 0.5)
    noise = comparison.pooled(made)
    there = compare(made[0], made[1], resamples=50, seed=1, noise=noise)
    back = compare(made[1], made[0], resamples=50, seed=1, noise=noise)
    assert astuple(back.reversed()) == astuple(there)


def seeded(rng, runs, images, noise, of_seed, count=6):
    """Conditions whose runs of one seed are better or worse together."""
    ease_Q, seed_S = rng.normal(0, 1.2, images), rng.normal(0, of_seed, (runs, 1))
    return [
        0.6 + ease_Q + seed_S + rng.normal(0, noise, (runs, 1)) + rng.normal(0, 0.8, (runs, images))
        > 0
        for _ in range(count)
    ]


def test_what_is_left_beside_the_seeds_is_the_residual_of_a_two_way_analysis_of_variance():
    """By what no contrast of conditions and seeds spans, with other seeds and a seed twice."""
    rng = np.random.default_rng(5)
    seeds = [(0, 1, 2), (2, 0, 1, 7), (1, 2), (7, 7, 0)]
    made = [rng.random((len(one), 30)) < 0.6 for one in seeds]
    noise = comparison.left([*made, made[0][:1]], [*seeds, (4,)])
    runs = [(at, seed) for at, of in enumerate(seeds) for seed in of]
    # an intercept, three conditions beside the first, three seeds beside the first
    design = [
        [1, *(at == one for one in (1, 2, 3)), *(seed == one for one in (1, 2, 7))]
        for at, seed in runs
    ]
    rest_PF = linalg.null_space(np.array(design, float).T)
    accuracy_P = np.array([run.mean() for one in made for run in one])
    assert noise is not None
    assert noise.freedom == rest_PF.shape[1] == 12 - 4 - 3
    assert noise.variance == pytest.approx(np.mean((accuracy_P @ rest_PF) ** 2))
    assert np.mean(noise.effects_P**2) == pytest.approx(noise.variance)
    assert noise.is_left


@given(st.integers(0, 1000), st.integers(2, 6))
def test_of_two_conditions_with_the_same_seeds_it_is_the_paired_t_test(seed, runs):
    rng = np.random.default_rng(seed)
    accuracy_CS = rng.uniform(0.3, 0.7, (2, runs))
    # the same on every image: runs are all that there is
    made = [np.repeat(one[:, None], 99, axis=1) for one in accuracy_CS]
    noise = comparison.left(made, [range(runs)] * 2)
    found = compare(made[0], made[1], resamples=10, seed=0, noise=noise)
    assert found.p == pytest.approx(stats.ttest_rel(*accuracy_CS).pvalue)


def test_seeds_that_all_conditions_share_leave_nothing_or_few_degrees_of_freedom():
    rng = np.random.default_rng(6)
    alone = [rng.random((3, 40)) for _ in range(4)]
    own = [range(3 * at, 3 * at + 3) for at in range(4)]
    plain, known = comparison.pooled(alone), comparison.pooled(alone, own)
    assert plain is not None
    assert known is not None
    assert (known.variance, known.freedom) == (plain.variance, pytest.approx(8))
    assert comparison.left(alone, own) is None  # no seed is shared
    together = [alone[0] * 0.9 + 0.02 * at for at in range(4)]
    shared = comparison.pooled(together, [range(3)] * 4)
    assert shared is not None
    assert shared.freedom == pytest.approx(2)  # of what three seeds do, and of nothing else
    assert comparison.left(together, [range(3)] * 4) is None


@pytest.mark.parametrize("runs", [3, 5])
def test_intervals_within_seeds_hold_the_truth_as_often_as_they_say_and_are_narrower(runs):
    rng, held, studies, shorter = np.random.default_rng([runs, 1]), 0, 400, []
    for _ in range(studies):
        made = seeded(rng, runs, 200, 0.15, 0.15)
        left = comparison.left(made, [range(runs)] * len(made))
        whole = comparison.pooled(made, [range(runs)] * len(made))
        one, other = (
            compare(made[0], made[1], resamples=500, seed=0, noise=noise) for noise in (left, whole)
        )
        held += one.difference.low <= 0 <= one.difference.high
        widths = [of.difference.high - of.difference.low for of in (one, other)]
        shorter.append(widths[0] / widths[1])
    assert 0.925 <= held / studies <= 0.98
    assert np.median(shorter) < 0.9


@given(st.integers(0, 1000), st.integers(2, 4))
def test_within_seeds_it_is_the_same_comparison_either_way_round(seed, runs):
    rng = np.random.default_rng(seed)
    made = seeded(rng, runs, 20, 0.5, 0.5, 3)
    noise = comparison.left(made, [range(runs)] * 3)
    there = compare(made[0], made[1], resamples=50, seed=1, noise=noise)
    back = compare(made[1], made[0], resamples=50, seed=1, noise=noise)
    assert astuple(back.reversed()) == astuple(there)


def test_other_numbers_of_runs_have_not_the_same_seeds():
    made = seeded(np.random.default_rng(1), 3, 20, 0.5, 0.5, 3)
    noise = comparison.left(made, [range(3)] * 3)
    with pytest.raises(ValueError, match="3 and 2 runs: they have not the same seeds"):
        compare(made[0], made[1][:2], resamples=9, seed=0, noise=noise)
    with pytest.raises(ValueError, match=r"\[3, 2\] seeds of \[3, 3\] runs"):
        comparison.left(made[:2], [range(3), range(2)])


def test_intervals_of_single_runs_are_about_these_models_alone():
    """Where runs are noisy they miss what other runs would have given: as the words say."""
    rng = np.random.default_rng(0)
    covered = {}
    for noise in (0.0, 0.4):
        found = [
            compare(*conditions(rng, (1, 1), 150, noise), resamples=200, seed=seed)
            for seed in range(200)
        ]
        assert not any(one.covers_runs for one in found)
        covered[noise] = np.mean([not one.difference.is_distinguishable for one in found])
    assert covered[0.0] > 0.87
    assert covered[0.4] < 0.75


def test_the_variance_is_that_of_repeated_studies():
    rng = np.random.default_rng(5)
    values, stated = [], []
    for _ in range(1500):
        a, b = (one.astype(float) for one in conditions(rng, (3, 4), 60, 0.2))
        values.append(a.mean() - b.mean())
        stated.append(analyse(a, b).variance)
    assert np.mean(stated) == pytest.approx(np.var(values), rel=0.12)


def test_copies_of_a_run_are_that_run_again():
    rng = np.random.default_rng(0)
    a_Q, b_Q = rng.random(80) < 0.7, rng.random(80) < 0.6
    copies = compare(np.tile(a_Q, (3, 1)), np.tile(b_Q, (2, 1)), resamples=300, seed=1)
    once = paired_bootstrap(a_Q.astype(float), b_Q.astype(float), resamples=300, seed=1)
    assert copies.difference.value == once.value
    assert (copies.difference.low, copies.difference.high) == pytest.approx((once.low, once.high))


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 3), st.integers(2, 40))
def test_either_way_round_it_is_the_same_comparison(seed, runs_a, runs_b, images):
    rng = np.random.default_rng(seed)
    a, b = rng.random((runs_a, images)) < 0.6, rng.random((runs_b, images)) < 0.5
    found = compare(a, b, resamples=100, seed=0)
    back = compare(b, a, resamples=100, seed=0).reversed()
    assert found.difference.value == pytest.approx(a.mean() - b.mean())
    assert found.difference.low <= found.difference.high
    assert 0 <= found.p <= 1
    assert back == found  # to the last digit
    assert back.runs == found.runs == (runs_a, runs_b)
    assert found == compare(a, b, resamples=100, seed=0)
    assert found.test == (
        T_TEST if min(runs_a, runs_b) > 1 else MCNEMAR if runs_a == runs_b else DURKALSKI
    )


@given(st.lists(st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 1.0]), min_size=2, max_size=12))
def test_values_that_are_the_same_both_ways_have_a_symmetric_interval(values):
    a_Q, b_Q = floats(values + values[::-1]), floats(values[::-1] + values)
    found = paired_bootstrap(a_Q, b_Q, resamples=100, seed=0)
    assert found == paired_bootstrap(b_Q, a_Q, resamples=100, seed=0).reversed()
    assert found.low == -found.high
    runs = compare(np.stack([a_Q, b_Q]), np.stack([b_Q, a_Q]), resamples=100, seed=0).difference
    assert (runs.value, runs.low) == (0.0, -runs.high)


def test_the_order_of_runs_and_images_is_no_matter():
    rng = np.random.default_rng(3)
    a, b = rng.random((3, 40)) < 0.6, rng.random((2, 40)) < 0.5
    order_Q = rng.permutation(40)
    found = compare(a, b, resamples=100, seed=0).difference
    again = compare(a[::-1, order_Q], b[::-1, order_Q], resamples=100, seed=0).difference
    assert astuple(again) == pytest.approx(astuple(found), abs=1e-12)


def test_the_detectable_difference_is_that_of_the_noncentral_t():
    for freedom in (1.0, 1.7, 2.0, 3.0, 8.0, 400.0):
        edge = stats.t.ppf(0.975, freedom)
        errors = detectable_errors(freedom)
        assert stats.nct.sf(edge, freedom, errors) == pytest.approx(0.8, abs=2e-3)
    assert detectable_errors(1.0) == pytest.approx(16.33, abs=0.01)
    assert detectable_errors(math.inf) == pytest.approx(Z_ALPHA + Z_POWER, abs=1e-3)


@pytest.mark.parametrize("freedom", [1.0, 2.0, 3.0])
def test_the_detectable_difference_is_found_as_often_as_it_says(freedom):
    rng = np.random.default_rng(int(freedom))
    error = np.sqrt(rng.chisquare(freedom, 40_000) / freedom)
    found = np.abs(rng.normal(detectable_errors(freedom), 1, 40_000) / error)
    assert np.mean(found > stats.t.ppf(0.975, freedom)) == pytest.approx(0.8, abs=0.01)


def test_two_runs_a_side_use_it():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 400)) < 0.6, rng.random((2, 400)) < 0.5
    spread = analyse(a.astype(float), b.astype(float))
    expected = detectable_errors(spread.freedom) * math.sqrt(spread.variance)
    assert compare(a, b, resamples=10, seed=0).detectable == pytest.approx(expected)


def test_no_difference_at_all():
    a = np.ones((1, 50), bool)
    for runs in (1, 2):
        found = compare(np.repeat(a, runs, 0), np.repeat(a, runs, 0), resamples=100, seed=0)
        assert (found.difference.low, found.difference.high, found.p) == (0.0, 0.0, 1.0)
        # models that never disagree can still differ by what 50 images could not show
        assert found.detectable == detectable_mcnemar(0.0, 50)
    most = compare(np.ones((2, 50)), np.zeros((2, 50)), resamples=100, seed=0)
    assert 0 < most.p < 1e-9


def test_blocks_do_not_change_the_draws(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.random((1, 300)), rng.random((1, 300))
    whole = compare(a, b, resamples=150, seed=0)
    monkeypatch.setattr(comparison, "BLOCK", 1000)
    again = compare(a, b, resamples=150, seed=0)
    assert astuple(again.difference) == pytest.approx(astuple(whole.difference), abs=1e-12)


def test_what_cannot_be_compared_is_an_error():
    a = np.ones((2, 5), bool)
    with pytest.raises(ValueError, match="2 runs on 5 images against 1 on 4"):
        compare(a, np.ones((1, 4), bool), resamples=100, seed=0)
    with pytest.raises(ValueError, match="0 on 5"):
        compare(a, np.ones((0, 5), bool), resamples=100, seed=0)
    with pytest.raises(ValueError, match="not between 0"):
        compare(a, np.full((1, 5), 1.5), resamples=100, seed=0)
    with pytest.raises(ValueError, match="not two each"):
        analyse(np.ones((1, 5)), np.ones((2, 5)))


def over_tests(rng, runs, sizes, noise, own=0.0):
    """Two conditions on several test sets by the same runs, whose differences are zero; a run is as
    good everywhere, and ``own`` better or worse on each."""
    of_run = [rng.normal(0, noise, (count, 1)) for count in runs]
    sides = []
    for images in sizes:
        ease_Q = rng.normal(0, 1.2, images)
        sides.append(
            tuple(
                0.6 + ease_Q + good + rng.normal(0, own, (len(good), 1))
                + rng.normal(0, 0.8, (len(good), images)) > 0
                for good in of_run
            )
        )  # fmt: skip
    return sides


@given(st.integers(0, 2**32), st.integers(2, 4), st.integers(2, 4), st.integers(2, 30))
def test_the_average_over_one_test_set_is_its_comparison(seed, runs_a, runs_b, images):
    rng = np.random.default_rng(seed)
    a, b, third = conditions(rng, (runs_a, runs_b, 3), images, 0.5)
    for noise in (None, comparison.pooled([a, b, third])):
        one = compare(a, b, resamples=50, seed=0, noise=noise)
        assert comparison.average([(a, b)], resamples=50, seed=0, noise=noise) == one


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_an_average_counts_test_sets_the_same_either_way_round(seed, runs_a, runs_b, tests):
    rng = np.random.default_rng(seed)
    sides = over_tests(rng, (runs_a, runs_b), rng.integers(2, 30, tests), 0.3)
    found = comparison.average(sides, resamples=60, seed=0)
    apart = [float(a.mean(dtype=np.float64) - b.mean(dtype=np.float64)) for a, b in sides]
    assert found.difference.value == pytest.approx(math.fsum(apart) / tests)
    assert found.difference.low <= found.difference.high
    assert 0 <= found.p <= 1
    assert found.covers_runs == (min(runs_a, runs_b) > 1)
    assert (found.images, found.runs) == (sum(a.shape[1] for a, _ in sides), (runs_a, runs_b))
    turned = [(b, a) for a, b in sides]
    assert comparison.average(turned, resamples=60, seed=0).reversed() == found


def test_the_error_of_an_average_is_that_of_images_within_test_sets_and_of_runs_once():
    """Against sums written out, by p and the noncentral t alone."""
    rng = np.random.default_rng(8)
    sides = over_tests(rng, (4, 5), (60, 200, 90), 0.4)
    found = comparison.average(sides, resamples=4000, seed=0)
    images = 0.0
    for a, b in sides:
        images += analyse(a.astype(float), b.astype(float)).images / 9
    means = [np.mean([side[at].mean(axis=1) for side in sides], axis=0) for at in (0, 1)]
    parts = [float(np.var(one, ddof=1)) / len(one) for one in means]
    variance = images + sum(parts)
    freedom = variance**2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 4)
    value = float(means[0].mean() - means[1].mean())
    assert found.difference.value == pytest.approx(value)
    p = 2 * stats.t.sf(abs(value) / math.sqrt(variance), freedom)
    assert found.p == pytest.approx(p)
    assert found.detectable == pytest.approx(detectable_errors(freedom) * math.sqrt(variance))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert found.difference.high - found.difference.low == pytest.approx(2 * half, rel=0.12)


@pytest.mark.parametrize(("noise", "own"), [(0.0, 0.0), (0.3, 0.0), (0.2, 0.2)])
def test_intervals_of_averages_hold_the_truth_as_often_as_they_say(noise, own):
    rng, held, studies = np.random.default_rng(int(10 * noise + own)), 0, 300
    for seed in range(studies):
        sides = over_tests(rng, (5, 5), (80, 120, 60), noise, own)
        found = comparison.average(sides, resamples=300, seed=seed)
        held += not found.difference.is_distinguishable
    assert 0.91 < held / studies < 0.99


def test_an_average_of_single_runs_is_about_these_models_alone():
    a = [floats([[1, 1, 0, 1]]), floats([[1, 0]])]
    b = [floats([[0, 1, 0, 0]]), floats([[0, 0]])]
    found = comparison.average([*zip(a, b, strict=True)], resamples=100, seed=0)
    assert (found.test, found.covers_runs) == (DURKALSKI, False)
    assert found.difference.value == (2 / 4 + 1 / 2) / 2
    # differences of 1/4, 1/4 and 1/2 of their test sets
    statistic = (1 / 4 + 1 / 4 + 1 / 2) / math.sqrt(1 / 16 + 1 / 16 + 1 / 4)
    assert found.p == pytest.approx(2 * stats.norm.sf(statistic))
    same = comparison.average([(a[0], a[0])], resamples=100, seed=0)
    assert (same.difference.value, same.difference.low, same.detectable) == (0.0, 0.0, None)


def test_an_average_is_of_the_same_runs_everywhere():
    one, two = np.ones((1, 3)), np.ones((2, 3))
    with pytest.raises(ValueError, match=r"runs on both sides of 2 test sets: \[\(1, 1\), \(1, 2"):
        comparison.average([(one, one), (one, two)], resamples=100, seed=0)
    with pytest.raises(ValueError, match="the same images"):
        comparison.average([(one, np.ones((1, 4)))], resamples=100, seed=0)
