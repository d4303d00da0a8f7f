"""Class bias against scipy, against brute force and against cases by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clipcause.evaluate import bias
from clipcause.evaluate.bias import confusion, imbalance, resampled

SEEDS = st.integers(0, 2**32 - 1)
# four classes of ten images; the frequent ones are answered too often
BY_HAND = np.array([[9, 1, 0, 0], [4, 6, 0, 0], [3, 2, 5, 0], [5, 2, 1, 2]])
FREQUENCY = np.array([1000, 50, 70, 3])


def made(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A confusion matrix with a class or two without samples, and frequencies with ties."""
    random = np.random.default_rng(seed)
    counts_CC = random.poisson(0.7, (classes, classes)) + np.diag(random.poisson(4, classes))
    counts_CC[random.random(classes) < 0.1] = 0
    counts_CC[0, 0] += 1
    return counts_CC, random.geometric(0.05, classes)


def test_by_hand():
    found = imbalance(BY_HAND, FREQUENCY, resamples=0)
    assert found.accuracy_C.tolist() == [0.9, 0.6, 0.5, 0.2]
    assert found.predicted_C.tolist() == [21, 11, 6, 2]
    # ranks of frequency 4 2 3 1, of accuracy and of predictions 4 3 2 1: 1 - 6 * 2 / (4 * 15)
    assert found.corr_acc == found.corr_pred == pytest.approx(0.8)
    # the head is the larger third
    assert found.values["head"] == pytest.approx((0.9 + 0.5) / 2)
    assert found.values["middle"] == pytest.approx(0.6)
    assert found.values["tail"] == pytest.approx(0.2)
    assert found.numbers() == {
        **found.values,
        "classes": 4,
        "classes_without_samples": 0,
        "classes_without_frequency": 0,
    }
    assert "trimmed" not in found.values


def test_a_confusion_matrix_counts_pairs():
    label_Q, said_Q = np.array([0, 0, 2, 2]), np.array([0, 1, 1, 2])
    assert confusion(label_Q, said_Q, 3).tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 1]]


@given(seed=SEEDS, classes=st.integers(3, 30))
def test_correlations_against_scipy(seed, classes):
    counts_CC, frequency_C = made(seed, classes)
    found = imbalance(counts_CC, frequency_C, resamples=0)
    here = [c for c in range(classes) if counts_CC[c].sum()]
    assert found.without_samples == classes - len(here)
    accuracy = [counts_CC[c, c] / counts_CC[c].sum() for c in here]
    predicted = [counts_CC[:, c].sum() for c in here]
    for own, value in ((accuracy, found.corr_acc), (predicted, found.corr_pred)):
        if len(here) < 3 or len(set(own)) == 1 or len(set(frequency_C[here])) == 1:
            assert value is None
        else:
            expected = stats.spearmanr(own, frequency_C[here]).statistic
            assert value == pytest.approx(expected, abs=1e-12)


@given(seed=SEEDS, classes=st.integers(3, 30))
def test_the_order_of_classes_changes_nothing(seed, classes):
    counts_CC, _ = made(seed, classes)
    random = np.random.default_rng(seed)
    frequency_C = random.permutation(classes) * 7  # no ties: thirds do not depend on position
    order_C = random.permutation(classes)
    trimmed_C = frequency_C < 7 * (classes // 2)
    found = imbalance(counts_CC, frequency_C, trimmed_C=trimmed_C, resamples=0)
    other = imbalance(
        counts_CC[order_C][:, order_C],
        frequency_C[order_C],
        trimmed_C=trimmed_C[order_C],
        resamples=0,
    )
    assert other.numbers() == pytest.approx(found.numbers(), abs=1e-12)


@given(seed=SEEDS, classes=st.integers(3, 30))
def test_ranks_alone_count(seed, classes):
    counts_CC, frequency_C = made(seed, classes)
    found = imbalance(counts_CC, frequency_C, resamples=0)
    assert imbalance(counts_CC, np.log(frequency_C), resamples=0).values == found.values
    assert imbalance(counts_CC.astype(float), frequency_C**3, resamples=0).values == found.values


def test_what_a_model_answers_as_often_as_it_saw_it():
    frequency_C = np.array([1, 2, 4, 8, 16])
    found = imbalance(np.diag(frequency_C), frequency_C, resamples=50)
    assert found.corr_pred == 1.0
    assert found.corr_acc is None  # all are right
    assert "corr_acc" not in found.numbers()
    backwards = imbalance(np.diag(frequency_C), frequency_C[::-1], resamples=0)
    assert backwards.corr_pred == -1.0


def test_classes_without_samples_or_frequency_are_counted_and_left_out():
    wide_CC = np.zeros((6, 6), int)
    wide_CC[:4, :4] = BY_HAND
    wide_CC[4] = [0, 0, 0, 0, 1, 9]  # of unknown frequency
    wide_CC[2, 5] = 1  # and one without samples, which is answered once
    frequency_C = np.array([*FREQUENCY, np.nan, 10.0])
    found = imbalance(wide_CC, frequency_C, resamples=20)
    assert (found.classes, found.without_samples, found.without_frequency) == (4, 1, 1)
    assert found.corr_acc == pytest.approx(0.8)
    assert found.values["tail"] == pytest.approx(0.2)
    assert np.isnan(found.accuracy_C[5])
    assert np.isfinite(list(found.values.values())).all()
    assert np.isfinite([*found.low.values(), *found.high.values()]).all()


@pytest.mark.parametrize(
    "frequency_C", [np.full(4, 7), np.full(4, np.nan), np.array([3, 4, np.nan, np.nan])]
)
def test_a_correlation_that_is_not_defined_is_none(frequency_C):
    found = imbalance(BY_HAND, frequency_C, resamples=20)
    assert found.corr_acc is None
    assert found.corr_pred is None
    json.dumps(found.numbers(), allow_nan=False)


@pytest.mark.parametrize(
    "frequency_C", [np.zeros(3), np.full(3, 7), np.array([5.0, np.nan, 5.0]), np.full(3, np.nan)]
)
def test_equal_frequencies_have_neither_head_nor_tail(frequency_C):
    counts_CC = np.array([[9, 1, 0], [4, 6, 0], [3, 2, 5]])
    assert imbalance(counts_CC, frequency_C, resamples=10).values == {}
    # what was trimmed is known all the same
    found = imbalance(counts_CC, frequency_C, trimmed_C=np.arange(3) == 2, resamples=10)
    assert found.values == pytest.approx({"trimmed": 0.5, "rest": 0.75})


def test_thirds_of_equal_frequency_go_by_position():
    accuracy = [1, 2, 3, 4, 5, 6, 7]
    counts_CC = np.diag(accuracy) + np.diag(np.arange(6, 0, -1), 1)
    counts_CC[6, 6] = 7
    found = imbalance(counts_CC, np.array([5, 5, 9, 5, 5, 1, 5]), resamples=0)
    share = np.diag(counts_CC) / counts_CC.sum(axis=1)
    # 9; then the 5s in their order; 1
    assert found.values["head"] == pytest.approx(share[[2, 0, 1]].mean())
    assert found.values["middle"] == pytest.approx(share[[3, 4]].mean())
    assert found.values["tail"] == pytest.approx(share[[6, 5]].mean())


def test_trimmed_classes_and_the_rest_need_no_frequency():
    trimmed_C = np.array([False, False, True, True])
    found = imbalance(BY_HAND, np.full(4, np.nan), trimmed_C=trimmed_C)
    assert found.values == pytest.approx({"trimmed": 0.35, "rest": 0.75})
    assert found.numbers()["trimmed_classes"] == 2
    assert imbalance(BY_HAND, np.full(4, np.nan), trimmed_C=~np.full(4, True)).values == {}


@given(seed=SEEDS)
def test_intervals_hold_the_estimate_and_stay_in_range(seed):
    counts_CC, frequency_C = made(seed, 8)
    found = imbalance(counts_CC, frequency_C, resamples=40, seed=seed)
    assert found.values.keys() == found.low.keys() == found.high.keys()
    for name, value in found.values.items():
        least = -1 if name.startswith("corr") else 0
        assert least <= found.low[name] <= value <= found.high[name] <= 1


def test_the_interval_of_an_accuracy_is_that_of_its_binomials():
    random = np.random.default_rng(0)
    right_C = random.binomial(40, 0.6, 30)
    counts_CC = np.diag(right_C)
    counts_CC[np.arange(30), (np.arange(30) + 1) % 30] = 40 - right_C
    found = imbalance(counts_CC, np.arange(30)[::-1], resamples=4000)
    share = right_C[:10] / 40
    deviation = math.sqrt((share * (1 - share) / 40).sum()) / 10
    width = found.high["head"] - found.low["head"]
    assert width == pytest.approx(2 * 1.96 * deviation, rel=0.05)


def test_resamples_against_drawing_image_by_image():
    label_Q = np.repeat(np.arange(4), BY_HAND.sum(axis=1))
    said_Q = np.concatenate([np.repeat(np.arange(4), row) for row in BY_HAND])
    random, ours = np.random.default_rng(1), list(resampled(BY_HAND, 3000, 2))
    drawn = np.empty((3000, 4))
    for number in range(3000):
        chosen = [random.choice(np.flatnonzero(label_Q == c), 10) for c in range(4)]
        drawn[number] = np.bincount(said_Q[np.concatenate(chosen)], minlength=4)
    predicted = np.concatenate([part[1] for part in ours])
    assert (predicted.sum(axis=1) == 40).all()
    assert np.allclose(predicted.mean(axis=0), drawn.mean(axis=0), atol=0.2)
    assert np.allclose(np.cov(predicted.T), np.cov(drawn.T), atol=0.4)
    accuracy = np.concatenate([part[0] for part in ours])
    assert np.allclose(accuracy.mean(axis=0), [0.9, 0.6, 0.5, 0.2], atol=0.01)


def test_the_seed_alone_decides_the_draws(monkeypatch):
    whole = imbalance(BY_HAND, FREQUENCY, resamples=100, seed=3)
    monkeypatch.setattr(bias, "BLOCK", 90)  # two resamples of forty images
    assert imbalance(BY_HAND, FREQUENCY, resamples=100, seed=3).numbers() == whole.numbers()
    assert imbalance(BY_HAND, FREQUENCY, resamples=100, seed=4).low != whole.low


@pytest.mark.parametrize(
    ("counts_CC", "frequency_C", "message"),
    [
        (BY_HAND / 10, FREQUENCY, "whole numbers"),
        (-BY_HAND, FREQUENCY, "whole numbers"),
        (BY_HAND, FREQUENCY - 10, "0 or more, or NaN"),
        (BY_HAND, np.array([1, 2, 3, np.inf]), "0 or more, or NaN"),
        (np.zeros((4, 4), int), FREQUENCY, "no sample"),
        (BY_HAND[:3], FREQUENCY, "a row and a column for each class, and this one is 3 x 4"),
        (BY_HAND[0], FREQUENCY, "and this one is 4$"),
        (BY_HAND, FREQUENCY[:3], "frequency_C is of size 3, and the confusion matrix 4 x 4"),
        (BY_HAND, FREQUENCY[:1], "frequency_C is of size 1, and the confusion matrix 4 x 4"),
        (BY_HAND, FREQUENCY[:, None], "frequency_C is of size 4 x 1, and"),
    ],
)
def test_impossible_input(counts_CC, frequency_C, message):
    with pytest.raises(ValueError, match=message):
        imbalance(counts_CC, frequency_C)


def test_marks_of_another_number_of_classes():
    with pytest.raises(ValueError, match="trimmed_C is of size 5, and the confusion matrix 4 x 4"):
        imbalance(BY_HAND, FREQUENCY, trimmed_C=np.full(5, True))
