import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipcause.config import parse
from clipcause.config.train import Dino
from clipcause.train import order, views
from tests import learning_study


def settings(**changes):
    values = {**learning_study.OPTIMISER, "local_size": 12, "local_crops": 3}
    del values["shift"]
    return parse({**values, **changes}, Dino, "dino")


def images(count=5, side=24):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def shares(count=5):
    row_B = np.arange(count)
    words = order.uniform(3, row_B * 0, row_B, views.NUMBERS)
    return (words >> np.uint64(11)) * 2.0**-53


def test_a_view_of_the_whole_image_is_the_image():
    plain = settings(jitter=0.0, flip=False)
    found = views.view(images().astype(np.float32), shares(), [1.0, 1.0], 24, plain)
    assert np.array_equal(found, images())


def test_a_mirrored_view_is_the_other_way_round():
    share_BR = shares()
    here, there = share_BR.copy(), share_BR.copy()
    here[:, 4], there[:, 4] = 0.7, 0.3
    made = [
        views.view(images().astype(np.float32), part, [0.3, 0.6], 12, settings(jitter=0.0))
        for part in (here, there)
    ]
    assert np.array_equal(made[0][:, :, ::-1], made[1])
    assert not np.array_equal(made[0], made[1])


@pytest.mark.parametrize("size", [8, 12, 24, 40])
def test_views_are_pillows_bilinear(size):
    plain, pixels_BSS3, share_BR = settings(jitter=0.0, flip=False), images(), shares()
    found = views.view(pixels_BSS3.astype(np.float32), share_BR, [0.2, 0.9], size, plain)
    boxes_B4 = views.boxes(share_BR[:, :4], [0.2, 0.9]) * 24
    for image, (top, height, left, width), view in zip(pixels_BSS3, boxes_B4, found, strict=True):
        # what lies outside a box has a part in its border here, and none there
        box = left, top, left + width, top + height
        expected = np.asarray(
            Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=box)
        ).astype(int)
        inside = slice(2, -2)
        assert abs(view[inside, inside] - expected[inside, inside]).max() <= 4


@given(side=st.integers(1, 60), size=st.integers(1, 60), seed=st.integers(0, 99))
def test_weights_are_whole_and_sum_to_one(side, size, seed):
    random = np.random.default_rng(seed)
    length_B = random.uniform(0.05, 1.0, 4)
    start_B = random.uniform(0.0, 1.0, 4) * (1.0 - length_B)
    weight_BTS = views.weights(start_B, length_B, side, size)
    assert (weight_BTS >= 0).all()
    assert (weight_BTS.sum(axis=2) == views.WHOLE).all()
    assert np.array_equal(weight_BTS, np.rint(weight_BTS))


def test_sums_are_exact_so_that_their_order_is_free():
    share_BR, plain = shares(), settings(jitter=0.0, flip=False)
    box_B4 = views.boxes(share_BR[:, :4], [0.1, 0.5])
    down, across = (
        views.weights(box_B4[:, at], box_B4[:, at + 1], 24, 12).astype(np.int64) for at in (0, 2)
    )
    sums = np.einsum("bts,bsrc,bur->btuc", down, images().astype(np.int64), across)
    assert sums.max() < 2**24
    found = views.view(images().astype(np.float32), share_BR, [0.1, 0.5], 12, plain)
    assert np.array_equal(found, np.floor(sums / views.WHOLE**2 + 0.5).astype(np.uint8))


@given(
    area=st.floats(0.01, 1.0),
    share=st.tuples(*[st.floats(0.0, 1.0, exclude_max=True)] * 4),
)
def test_crops_lie_inside_and_have_their_area(area, share):
    ((top, height, left, width),) = views.boxes(np.array([share]), [area, area])
    assert 0.0 <= top <= top + height <= 1.0 + 1e-12
    assert 0.0 <= left <= left + width <= 1.0 + 1e-12
    assert height * width == pytest.approx(area)
    assert 3 / 4 - 1e-9 <= width / height <= 4 / 3 + 1e-9


def test_colours_by_hand():
    # brightness 1.2, contrast 0.8, red 1.1: 1.2 (0.8 v) 1.1, about the middle grey
    share_15 = np.array([[1.0, 0.0, 0.75, 0.5, 0.5]])
    factor_13, offset_13 = views.colours(share_15, 0.2)
    assert factor_13[0] == pytest.approx([1.2 * 0.8 * 1.1, 0.96, 0.96])
    grey = factor_13[0] * views.GREY + offset_13[0]
    assert grey == pytest.approx([1.2 * 1.1 * views.GREY, 1.2 * views.GREY, 1.2 * views.GREY])


def test_views_belong_to_row_and_pass():
    row_B = np.arange(5)
    large, small = views.made(images(), 7, row_B * 0, row_B, settings())
    assert large.shape == (10, 24, 24, 3)
    assert small.shape == (15, 12, 12, 3)
    # a batch of one has the same views, which lie view by view
    alone = views.made(images()[2:3], 7, row_B[2:3] * 0, row_B[2:3], settings())
    assert np.array_equal(alone[0], large[2::5])
    assert np.array_equal(alone[1], small[2::5])
    assert not np.array_equal(large[:5], large[5:])
    later, _ = views.made(images(), 7, row_B * 0 + 1, row_B, settings())
    other, _ = views.made(images(), 8, row_B * 0, row_B, settings())
    assert not np.array_equal(later, large)
    assert not np.array_equal(other, large)


def test_no_small_views():
    row_B = np.arange(5)
    large, small = views.made(images(), 7, row_B * 0, row_B, settings(local_crops=0))
    assert len(large) == 10
    assert small.shape == (0, 12, 12, 3)
