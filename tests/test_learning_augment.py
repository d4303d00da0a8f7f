import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clipcause.train import augment


def test_shift_by_hand():
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1).repeat(3, axis=3)
    down_and_left = np.array([[1, -1]])
    moved = augment.shifted(image, down_and_left, 1)
    # the top row is repeated above, the right column beside
    assert moved[0, :, :, 0].tolist() == [[1, 2, 2], [1, 2, 2], [4, 5, 5]]
    assert (moved[..., 0] == moved[..., 2]).all()


@given(most=st.integers(0, 3), seed=st.integers(0, 99))
def test_shifted_images_are_windows_of_padded_ones(most, seed):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    row_B = random.integers(0, 1000, 5)
    shift_B2 = augment.shifts(seed, row_B * 0, row_B, most)
    assert (abs(shift_B2) <= most).all()
    moved = augment.shifted(pixels, shift_B2, most)
    for image, (down, right), found in zip(pixels, shift_B2, moved, strict=True):
        side = np.arange(8)
        expected = image[np.clip(side - down, 0, 7)][:, np.clip(side - right, 0, 7)]
        assert np.array_equal(found, expected)


def test_all_shifts_occur():
    row_B = np.arange(500)
    shift_B2 = augment.shifts(0, row_B * 0, row_B, 1)
    assert len({tuple(shift) for shift in shift_B2.tolist()}) == 9


@given(
    areas=st.sampled_from([(0.9, 1.0), (0.08, 1.0), (0.25, 0.25)]),
    height=st.integers(1, 400),
    width=st.integers(1, 400),
)
def test_crops_lie_inside_and_have_their_share(areas, height, width):
    row_B = np.arange(20)
    corners_B4 = augment.crops(1, row_B * 0, row_B, areas, (height, width))
    for left, top, right, bottom in corners_B4:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        wide, tall = right - left, bottom - top
        if min(height, width) >= 40 and 0.8 < width / height < 1.25:
            rounding = (wide + tall) / 2 / (height * width)
            share = wide * tall / (height * width)
            assert areas[0] - rounding <= share <= areas[1] + rounding
            # sides of before they were rounded to pixels, each half a pixel away at most
            assert 3 * (tall - 0.5) <= 4 * (wide + 0.5)
            assert 3 * (wide - 0.5) <= 4 * (tall + 0.5)


def test_a_crop_belongs_to_its_row_and_pass():
    row_B = np.arange(50)
    crops_B4 = augment.crops(0, row_B * 0, row_B, (0.5, 1.0), (64, 64))
    assert np.array_equal(
        augment.crops(0, row_B[9:10] * 0, row_B[9:10], (0.5, 1.0), (64, 64))[0], crops_B4[9]
    )
    later_B4 = augment.crops(0, row_B * 0 + 1, row_B, (0.5, 1.0), (64, 64))
    assert (crops_B4 != later_B4).any(axis=1).mean() > 0.9
    assert len({tuple(crop) for crop in crops_B4.tolist()}) > 45


def test_a_crop_that_never_fits_is_the_middle():
    # ten times as wide as high: no crop of 90 % of the area has a ratio of at most 4/3
    crop_14 = augment.crops(0, np.array([0]), np.array([3]), (0.9, 1.0), (30, 300))
    assert crop_14.tolist() == [[130, 0, 170, 30]]


def test_crops_in_memory_are_brought_back_to_size():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    whole_B4 = np.array([[0, 0, 8, 8]] * 3)
    assert np.array_equal(augment.cropped(pixels, whole_B4), pixels)
    assert augment.cropped(pixels, whole_B4 // 2).shape == pixels.shape
