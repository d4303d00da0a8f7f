"""The report's statistics and its choice of pictures, against brute force and cases by hand."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from clipcause.report import pictures
from clipcause.report.album import picture
from clipcause.report.pictures import spread, strongest
from clipcause.stats.bins import Bins, bin_index, binned_accuracy, histogram, spearman
from clipcause.stats.comparison import paired_bootstrap

hits = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)
similarities = st.lists(st.floats(-1.0, 1.001), min_size=1, max_size=60)


def floats(values):
    return np.array(values, dtype=np.float64)


def test_identical_predictions_differ_by_exactly_nothing():
    a_Q = floats([1, 0, 1, 1 / 3])
    found = paired_bootstrap(a_Q, a_Q.copy(), resamples=100, seed=0)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.is_distinguishable


@given(hits, st.integers(0, 2**32))
def test_paired_bootstrap_is_of_the_mean_difference_and_repeats(pairs, seed):
    a_Q, b_Q = (floats(column) for column in zip(*pairs, strict=True))
    found = paired_bootstrap(a_Q, b_Q, resamples=100, seed=seed)
    assert found.value == pytest.approx((a_Q - b_Q).mean())
    assert (a_Q - b_Q).min() - 1e-12 <= found.low <= found.high <= (a_Q - b_Q).max() + 1e-12
    assert found == paired_bootstrap(a_Q, b_Q, resamples=100, seed=seed)


def test_paired_bootstrap_is_that_of_drawn_images():
    rng = np.random.default_rng(3)
    a_Q = floats(rng.random(150) < 0.7)
    b_Q = floats(np.where(rng.random(150) < 0.8, a_Q, rng.random(150) < 0.3))
    index = rng.integers(0, 150, (20_000, 150))
    expected = np.quantile((a_Q - b_Q)[index].mean(1), [0.025, 0.975])
    found = paired_bootstrap(a_Q, b_Q, resamples=20_000, seed=0)
    assert [found.low, found.high] == pytest.approx(expected, abs=0.01)
    # pairing is what makes it narrow: the same accuracies, paired otherwise, are less certain
    shuffled = paired_bootstrap(a_Q, rng.permutation(b_Q), resamples=20_000, seed=0)
    assert shuffled.high - shuffled.low > found.high - found.low


def test_another_seed_is_another_bootstrap():
    a_Q, b_Q = floats([1, 0, 1, 1, 0, 1] * 20), floats([0, 1, 1, 0, 0, 1] * 20)
    found = {paired_bootstrap(a_Q, b_Q, resamples=100, seed=seed) for seed in range(5)}
    assert len(found) > 1
    assert len({one.value for one in found}) == 1


def test_no_images_are_an_error():
    with pytest.raises(ValueError, match="0 and 0 images"):
        paired_bootstrap(floats([]), floats([]), resamples=100, seed=0)


def test_an_edge_belongs_to_the_bin_that_it_begins_and_copies_to_the_last():
    values = floats([0.0, 0.0499, 0.05, 0.15, 0.949, 0.95, 1.0, 1.001, -0.01])
    assert bin_index(values, 0.05).tolist() == [0, 0, 1, 3, 18, 19, 19, 19, -1]


@given(similarities)
def test_histogram_counts_every_image_once(values):
    index_Q = bin_index(floats(values), 0.1)
    first, last = int(index_Q.min()) - 1, int(index_Q.max()) + 2
    share_B = histogram(floats(values), 0.1, first, last)
    expected = [sum(index_Q == b) / len(values) for b in range(first, last + 1)]
    assert share_B.tolist() == pytest.approx(expected)
    assert share_B.sum() == pytest.approx(1)


def test_a_histogram_that_would_lose_images_is_an_error():
    with pytest.raises(ValueError, match="outside of bins 0 to 3"):
        histogram(floats([0.9]), 0.1, 0, 3)


@given(similarities, st.integers(1, 6), st.randoms(use_true_random=False))
def test_binned_accuracy_against_a_loop(values, least, chance):
    similarity_Q = floats(values)
    correct_Q = floats([chance.random() < 0.5 for _ in values])
    found = binned_accuracy(similarity_Q, correct_Q, width=0.05, least=least)
    index_Q = bin_index(similarity_Q, 0.05)
    expected, left_out = [], 0
    for one in sorted(set(index_Q.tolist())):
        mine = index_Q == one
        if mine.sum() < least:
            left_out += mine.sum()
            continue
        expected.append((similarity_Q[mine].mean(), correct_Q[mine].mean(), mine.sum()))
    assert found.images_left_out == left_out
    assert len(expected) + found.bins_left_out == len(set(index_Q.tolist()))
    columns = (found.similarity_B, found.accuracy_B, found.count_B)
    for got, want in zip(columns, zip(*expected, strict=True), strict=False):
        assert got == pytest.approx(want)


def bins(accuracies):
    count = len(accuracies)
    ones = np.ones(count, np.int64)
    return Bins(np.linspace(0.4, 0.9, count), floats(accuracies), ones, 0, 0)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=20))
def test_spearman_is_scipys(values):
    found = spearman(bins(values))
    if len(set(values)) == 1:
        assert found is None
    else:
        expected = stats.spearmanr(np.arange(len(values)), values).statistic
        assert found == pytest.approx(expected)


def test_spearman_by_hand():
    assert spearman(bins([0.1, 0.2, 0.7])) == pytest.approx(1)
    # ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15)
    assert spearman(bins([0.2, 0.1, 0.7, 0.5])) == pytest.approx(0.6)
    assert spearman(bins([0.1, 0.9])) is None


@given(st.integers(0, 2**32))
def test_the_strongest_test_image_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    pool_KD = rng.standard_normal((5, 4)).astype(np.float16)
    test_QD = rng.standard_normal((7, 4)).astype(np.float16)
    threshold_Q = rng.random(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "BLOCK", 3)
        image_K, similarity_K = strongest(pool_KD, test_QD, threshold_Q)
    for row, (image, similarity) in enumerate(zip(image_K, similarity_K, strict=True)):
        sims = [float(pool_KD[row].astype(float) @ one.astype(float)) for one in test_QD]
        assert image == np.argmax(np.array(sims) - threshold_Q)
        assert similarity == pytest.approx(sims[image], abs=1e-12)


def test_the_lowest_of_equal_test_images_is_the_cause(monkeypatch):
    monkeypatch.setattr(pictures, "BLOCK", 2)
    same_QD = np.tile(np.array([[1, 0]], np.float16), (5, 1))
    image_K, _ = strongest(same_QD[:1], same_QD, np.zeros(5))
    assert image_K.tolist() == [0]


def test_spread_takes_both_ends():
    order = np.arange(10)
    assert spread(order, 3).tolist() == [0, 4, 9]
    assert spread(order, 1).tolist() == [0]
    assert spread(order, 99).tolist() == order.tolist()
    assert spread(order, 0).tolist() == []
    assert spread(order[:0], 5).tolist() == []


def encoded(size, kind, mode="RGB"):
    stream = io.BytesIO()
    Image.new(mode, size, 0).save(stream, kind)
    return stream.getvalue()


def shown(found):
    kind, _, text = found.uri.partition(";base64,")
    assert kind == "data:image/webp"
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        return np.asarray(image.convert("RGB"))


def test_small_pictures_keep_their_pixels_and_large_ones_are_scaled():
    small = Image.effect_noise((64, 32), 80).convert("RGB")
    stream = io.BytesIO()
    small.save(stream, "PNG")
    found = picture(stream.getvalue(), "a cat", "here")
    assert (found.width, found.height, found.caption) == (64, 32, "a cat")
    assert shown(found).shape == (32, 64, 3)
    flat = picture(encoded((64, 32), "PNG"), "", "here")
    assert not shown(flat).any()
    large = picture(encoded((400, 200), "JPEG"), "", "here")
    assert (large.width, large.height) == (64, 32) == shown(large).shape[1::-1]
    # what is transparent is on white
    assert (shown(picture(encoded((300, 300), "PNG", "RGBA"), "", "here")) == 255).all()


def test_an_unreadable_picture_is_named():
    with pytest.raises(ValueError, match=r"data/pool: image of row 3: not readable"):
        picture(b"no image", "", "data/pool: image of row 3")
