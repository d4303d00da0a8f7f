"""Retrieval where images have several captions, against recall as the CLIP benchmark defines it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.evaluate import retrieval


def recalls(image_QD, text_TD, image_T, depth):
    """Of a matrix of scores and one of right pairs, by sorting every row (CLIP_benchmark's
    `zeroshot_retrieval.recall_at_k`, of which it takes what is above 0), in float64."""
    score_TQ = text_TD.astype(np.float64) @ image_QD.astype(np.float64).T
    right_TQ = image_T[:, None] == np.arange(len(image_QD))
    found = []
    for score_AB, right_AB in ((score_TQ.T, right_TQ.T), (score_TQ, right_TQ)):
        nearest_AK = np.argsort(-score_AB, axis=1, kind="stable")[:, :depth]
        found.append(np.take_along_axis(right_AB, nearest_AK, axis=1).any(axis=1).mean())
    return found


def unit(random: np.random.Generator, rows: int, dimensions: int) -> np.ndarray:
    made = random.normal(size=(rows, dimensions))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def near(random: np.random.Generator, of: np.ndarray, spread: float) -> np.ndarray:
    made = of + spread * random.normal(size=of.shape)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
)
def test_recall_is_the_benchmarks(captions, seed, block):
    random = np.random.default_rng(seed)
    image_QD = unit(random, len(captions), 8)
    image_T = np.repeat(np.arange(len(captions)), captions)
    text_TD = near(random, image_QD[image_T], 0.6)
    mixed_T = random.permutation(len(image_T))  # pairs come in any order
    found = retrieval.ranks(image_QD, text_TD, mixed_T, block, image_P=image_T[mixed_T])
    for depth in (1, 2, 5):
        assert [(rank <= depth).mean() for rank in found] == pytest.approx(
            recalls(image_QD, text_TD, image_T, depth)
        )


def test_five_captions_an_image():
    """An image given five times, with a caption each, is not what the field counts."""
    random = np.random.default_rng(0)
    unit_QD = unit(random, 400, 64)
    image_T = np.repeat(np.arange(400), 5)
    text_TD = near(random, unit_QD[image_T], 0.5)
    image_QD, text_TD = unit_QD.astype(np.float32), text_TD.astype(np.float32)
    text_P = np.arange(2000)
    numbers = retrieval.summary(retrieval.ranks(image_QD, text_TD, text_P, image_P=image_T))
    assert (numbers["n"], numbers["captions"]) == (400, 2000)
    for depth in retrieval.DEPTHS:
        of_images, of_texts = recalls(image_QD, text_TD, image_T, depth)
        assert numbers["image_to_text"][f"r{depth}"] == of_images
        assert numbers["text_to_image"][f"r{depth}"] == of_texts
    assert numbers["image_to_text"]["r1"] == 0.305
    repeated = retrieval.summary(retrieval.ranks(image_QD[image_T], text_TD, text_P))
    assert repeated["image_to_text"]["r1"] == 0.061
    # captions of one image are no further images: the interval is that of 400
    ends = (numbers["text_to_image"][end]["r1"] for end in ("low", "high"))
    share = numbers["text_to_image"]["r1"]
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert list(ends) == pytest.approx([share - half, share + half], abs=0.005)


def test_a_caption_that_two_images_have_finds_either():
    ball, sky = [1.0, 0.0], [0.0, 1.0]
    # "red ball" and "toy" of the first image, "toy" and "blue sky" of the second
    texts, text_P = retrieval.distinct(["red ball", "toy", "toy", "blue sky"])
    assert (texts, text_P.tolist()) == (["red ball", "toy", "blue sky"], [0, 1, 1, 2])
    found = retrieval.ranks(
        np.array([ball, sky]),
        np.array([sky, ball, [0.6, 0.8]]),
        text_P,
        image_P=np.array([0, 0, 1, 1]),
    )
    assert found.of_text_Q.tolist() == [1, 2]
    assert found.of_image_T.tolist() == [2, 1, 1]


def test_equally_near_captions_of_one_image_count_once():
    same = np.array([[1.0, 0.0]])
    found = retrieval.ranks(
        same, np.tile(same, (3, 1)), np.array([2, 1, 0]), image_P=np.zeros(3, int)
    )
    assert (found.of_text_Q.tolist(), found.of_image_T.tolist()) == ([1], [1, 1, 1])
