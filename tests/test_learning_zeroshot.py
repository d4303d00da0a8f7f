import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from stages.learning import zeroshot


def test_prompts_lie_class_by_class():
    found = zeroshot.prompts(["cat", "dog"], ["a {name}", "{name} {name}"])
    assert found == ["a cat", "cat cat", "a dog", "dog dog"]


def test_prototypes_by_hand():
    # class 0: (1, 0) and (0, 1) average to the diagonal; class 1: lengths do not count
    text_PD = np.array([[1, 0], [0, 1], [0, -1], [0, -3]], np.float32)
    half = np.sqrt(0.5)
    assert np.allclose(zeroshot.prototypes(text_PD, 2), [[half, half], [0, -1]])


def test_classification_by_hand():
    image_QD = np.array([[1, 0], [0.6, 0.8]], np.float32)
    class_CD = np.array([[1.0, 0.0], [0.0, 1.0]])
    answers = zeroshot.classify(image_QD, class_CD, np.array([0, 0]), scale=2.0)
    assert answers.predicted.tolist() == [0, 1]
    assert answers.rank.tolist() == [1, 2]
    odds = np.exp(2.0 * np.array([1.0, 0.0])), np.exp(2.0 * np.array([0.6, 0.8]))
    expected = [odd[0] / odd.sum() for odd in odds]
    assert np.allclose(answers.probability, expected)


def test_of_equal_classes_the_first_is_nearer():
    image_QD = np.array([[1.0, 0.0]] * 3)
    class_CD = np.array([[0.5, 0.5], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    answers = zeroshot.classify(image_QD, class_CD, np.array([1, 2, 3]), scale=100.0)
    assert answers.predicted.tolist() == [1, 1, 1]
    assert answers.rank.tolist() == [1, 2, 3]


@given(seed=st.integers(0, 999), classes=st.integers(1, 6))
def test_rank_one_is_the_prediction_and_ranks_fit_brute_force(seed, classes):
    random = np.random.default_rng(seed)
    # few values, so that ties are many
    image_QD, class_CD = (random.integers(-1, 2, (n, 3)).astype(np.float64) for n in (8, classes))
    true_Q = random.integers(0, classes, 8)
    answers = zeroshot.classify(image_QD, class_CD, true_Q, scale=1.0)
    for q in range(8):
        ranking = sorted(range(classes), key=lambda c: (-(image_QD[q] @ class_CD[c]), c))
        assert answers.predicted[q] == ranking[0]
        assert answers.rank[q] == ranking.index(true_Q[q]) + 1


def test_wilson_against_a_worked_value():
    # 8 of 10: (0.8 + z²/20 ± z sqrt(0.8 * 0.2 / 10 + z²/400)) / (1 + z²/10)
    low, high = zeroshot.wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_wilson_against_scipy(n, share):
    successes = round(share * n)
    interval = binomtest(successes, n).proportion_ci(method="wilson")
    low, high = zeroshot.wilson(successes, n)
    assert np.allclose([low, high], [interval.low, interval.high], atol=1e-12)
    assert 0 <= low <= successes / n <= high <= 1


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_no_share(successes, n):
    with pytest.raises(ValueError, match="no share"):
        zeroshot.wilson(successes, n)
