import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.config.templates import NAMED
from clipcause.evaluate import zeroshot


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


@given(seed=st.integers(0, 999), block=st.integers(1, 9))
def test_blocks_change_no_bit(seed, block):
    random = np.random.default_rng(seed)
    image_QD = random.standard_normal((8, 33)).astype(np.float32)
    class_CD = random.standard_normal((5, 33))
    true_Q = random.integers(0, 5, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zeroshot, "BLOCK", block)
        cut = zeroshot.classify(image_QD, class_CD, true_Q, scale=3.0)
    whole = zeroshot.classify(image_QD, class_CD, true_Q, scale=3.0)
    assert all(np.array_equal(a, b) for a, b in zip(cut, whole, strict=True))


def test_a_class_of_several_rows_is_as_near_as_the_nearest():
    image_QD = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    row_ED = np.array([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    said = zeroshot.classify(image_QD, row_ED, np.array([0, 1, 1]), 2.0, np.array([0, 2]))
    # similarities to the classes: (1, 0), (0.8, 1), (1, 0.8)
    assert said.predicted.tolist() == [0, 1, 0]
    assert said.rank.tolist() == [1, 1, 2]
    odds = 1 / (1 + np.exp(2.0 * np.array([-1.0, -0.2, 0.2])))
    assert np.allclose(said.probability, odds)


def test_sets_of_templates_that_have_a_name():
    paper = zeroshot.named("openai-imagenet")
    assert len(paper) == len(set(paper)) == 80
    assert paper[0] == "a bad photo of a {name}."
    assert all(template.count("{name}") == 1 for template in paper)
    assert len(zeroshot.named("simple-imagenet")) == 7
    assert zeroshot.named(["a {name}"]) == ["a {name}"]
    assert (
        zeroshot.prompts(["great white shark"], paper)[79] == "a tattoo of the great white shark."
    )
    for name in NAMED:
        assert zeroshot.named(name)
