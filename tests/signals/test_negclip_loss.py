"""negCLIPLoss by hand, against the CLIP loss of open_clip, and that every row is in every pass."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.loss import ClipLoss
from scipy.special import logsumexp

from clipcause.signals import contrast as module
from clipcause.signals.contrast import contrast, negclip_loss
from clipcause.signals.kinds.negclip_loss import NegClipLoss
from clipcause.signals.signal import rounded
from tests.signals.small import Small, cosines, unit


def of(image, text, scale=10.0, batch_size=16, batches=3, seed=0, threads=1):
    takes = image.__getitem__, text.__getitem__
    return negclip_loss(*takes, len(image), scale, batch_size, batches, seed, threads)


def brute(image, text, scale, batch_size, batches, seed):
    """The formula row by row, with the batches that the seed gives."""
    every, count = cosines(image, text), len(image)
    value = np.zeros(count)
    chance = np.random.default_rng(seed)
    for _ in range(batches):
        order = chance.permutation(count)
        for a in range(0, count, batch_size):
            part = order[a : a + batch_size]
            batch = np.concatenate([part, order[: min(batch_size, count) - len(part)]])
            for row in part:
                others = logsumexp(scale * every[row, batch]) + logsumexp(scale * every[batch, row])
                value[row] += every[row, row] - others / (2 * scale)
    return value / batches


def test_by_hand():
    # two pairs at right angles: s = 1 on the diagonal, 0 beside it
    eye = np.eye(2, dtype=np.float16)
    value, own = of(eye, eye, scale=1.0, batch_size=2, batches=1)
    np.testing.assert_array_equal(own, 1)
    np.testing.assert_allclose(value, 1 - np.log(np.e + 1), rtol=1e-14)
    # a caption that fits both is worth less than one that fits one, at the same similarity
    both = np.array([[1, 0], [1, 0]], np.float16)
    value, own = of(eye[[0, 0]], both, scale=1.0, batch_size=2, batches=1)
    np.testing.assert_allclose(value, -np.log(2), rtol=1e-14)


def test_it_is_minus_the_clip_loss_in_units_of_similarity():
    image, text = unit(32, 8, 1), unit(32, 8, 2)
    value, _ = of(image, text, scale=7.0, batch_size=32, batches=2)
    loss = ClipLoss()(*(torch.from_numpy(x).double() for x in (image, text)), torch.tensor(7.0))
    assert value.mean() == pytest.approx(-loss.item() / 7, rel=1e-12)


@settings(max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(2, 25),
    st.integers(1, 3),
    st.floats(0.5, 100),
    st.sampled_from([3, 1024]),
)
def test_against_the_formula(seed, rows, batch_size, batches, scale, tile):
    image, text = unit(rows, 6, seed), unit(rows, 6, seed + 1, shared=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        value, own = of(image, text, scale, batch_size, batches, seed)
    np.testing.assert_array_equal(own, np.diag(cosines(image, text)))
    np.testing.assert_allclose(
        value, brute(image, text, scale, batch_size, batches, seed), rtol=0, atol=1e-12
    )
    # the pair itself is in both sums, so that no value is above zero
    assert (value <= 1e-12).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_pictures_and_captions_may_change_places(seed):
    image, text = unit(30, 6, seed), unit(30, 6, seed + 1)
    one, other = of(image, text), of(text, image)
    np.testing.assert_allclose(one[0], other[0], atol=1e-13)


@pytest.mark.parametrize("rows", [7, 8, 9, 16, 17])
def test_every_row_is_scored_once_a_pass_in_a_batch_of_one_size(rows):
    found = list(module._drawn(rows, 8, 3, 5))
    each = -(-rows // 8)
    assert len(found) == 3 * each
    for number in range(3):
        scored = [members[:count] for members, count in found[number * each : (number + 1) * each]]
        assert sorted(np.concatenate(scored)) == list(range(rows))
    for members, _ in found:
        assert len(set(members)) == len(members) == min(rows, 8)


def test_bytes_do_not_depend_on_threads_or_tiles(monkeypatch):
    image, text = unit(3000, 32, 1, shared=0.5), unit(3000, 32, 2, shared=0.5)
    expected = rounded(of(image, text, 50.0, 1100, 2)[0]).tobytes()
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found = of(image, text, 50.0, 1100, 2, threads=threads)[0]
        finally:
            torch.set_num_threads(before)
        assert rounded(found).tobytes() == expected
    monkeypatch.setattr(module, "TILE", 130)
    assert rounded(of(image, text, 50.0, 1100, 2, threads=2)[0]).tobytes() == expected


def test_far_pairs_at_the_largest_scale_are_finite():
    x = np.array([[1, 0], [-1, 0]], np.float16)
    own, both = contrast(x, -x, module.LARGEST_SCALE, np.arange(2))
    np.testing.assert_array_equal(own, -1)
    np.testing.assert_allclose(both, 2 * module.LARGEST_SCALE)


@pytest.mark.parametrize("scale", [0.0, -1.0, 301.0, float("nan")])
def test_a_scale_that_is_none(scale):
    with pytest.raises(ValueError, match=r"the encoder's scale .* expected above 0"):
        of(unit(4, 4), unit(4, 4), scale)


def test_kind(tmp_path):
    pool, text = unit(60, 8, 1), unit(60, 8, 2)
    some = np.setdiff1d(np.arange(60), [1, 30, 31])
    signal = NegClipLoss(kind="negclip-loss", base="all", batch_size=16, batches=2, seed=3)
    found = signal.score(Small(tmp_path, pool=pool, captions=text, rows=some, scale=20.0))
    expected = brute(pool[some], text[some], 20.0, 16, 2, 3)
    np.testing.assert_allclose(found.value_R, expected, atol=6e-7)
    mean = np.diag(cosines(pool, text))[some].mean()
    assert found.numbers == {
        "scale": 20.0,
        "batch_size": 16,
        "mean": pytest.approx(expected.mean(), abs=1e-6),
        "mean_similarity": pytest.approx(mean, abs=1e-6),
    }


def test_captions_that_are_not_embedded():
    signal = NegClipLoss(kind="negclip-loss", base="all", batch_size=16, batches=2, seed=3)
    with pytest.raises(ValueError, match=r"write `texts: \{pool: \{\}\}`"):
        signal.check({"texts": {}, "datasets": {}}, "params.yaml: signals.neg")
    signal.check({"texts": {"pool": {}}, "datasets": {}}, "params.yaml: signals.neg")


def test_a_caption_that_is_nothing():
    text = unit(4, 4)
    text[2] = 0
    with pytest.raises(ValueError, match="captions: row 2 has norm 0"):
        of(unit(4, 4), text, batch_size=4)
