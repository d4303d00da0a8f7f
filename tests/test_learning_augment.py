import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.learning import augment


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
