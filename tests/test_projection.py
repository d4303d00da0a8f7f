"""The projection of pixels: by brute force in float64, and the same bits in any order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.embed import projection
from clipcause.embed.projection import Projection, project, signs
from clipcause.runtime.imports import transitive
from tests.real_images import drawings

GAMMA, LAST = 0x9E3779B97F4A7C15, 2**64 - 1


def projected(side, dim, reference_NP, seed=0):
    return Projection(side, dim, seed, reference_NP.sum(0, dtype=np.int64), len(reference_NP))


def images(count, side, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 3 * side**2), dtype=np.uint8)


@given(side=st.integers(1, 9), dim=st.integers(2, 40), seed=st.integers(0, 2**63 - 1))
def test_by_brute_force_in_float64(side, dim, seed):
    reference_NP, image_NP = images(5, side, 1), images(4, side, 2)
    by = projected(side, dim, reference_NP, seed)
    found_ND, alike = project(image_NP, by)
    expected = (image_NP.astype(np.float64) - reference_NP.astype(np.float64).mean(0)) @ by.signs
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert alike == 0
    assert found_ND.dtype == np.float16
    np.testing.assert_allclose(found_ND, expected, atol=2**-11)


def word(state):
    """The finaliser of SplitMix64, in Python's own integers."""
    state &= LAST
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & LAST
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & LAST
    return state ^ (state >> 31)


def test_signs_are_those_of_the_seed_on_every_machine():
    first = signs(5, 4, 8)
    start = word(5 * GAMMA + GAMMA)
    words = [word(start + (at + 1) * GAMMA) for at in range(32)]
    assert first.reshape(-1).tolist() == [1 if one >> 63 else -1 for one in words]
    assert (signs(5, 5, 8)[:4] == first).all()
    assert (signs(6, 4, 8) != first).any()
    assert abs(signs(3, 300, 300).mean()) < 0.01


def test_an_image_has_the_same_bits_in_any_batch():
    reference_NP, image_NP = images(7, 16, 1), images(33, 16, 2)
    by = projected(16, 64, reference_NP)
    whole = project(image_NP, by)[0]
    alone = np.concatenate([project(image_NP[at : at + 1], by)[0] for at in range(33)])
    assert whole.tobytes() == alone.tobytes()
    back = project(image_NP[::-1], by)[0][::-1]
    assert whole.tobytes() == back.tobytes()


def test_the_largest_side_is_still_exact():
    white_NP = np.full((2, 3 * 64**2), 255, np.uint8)
    white_NP[1, 0] = 254
    by = Projection(64, 16, 0, np.zeros(3 * 64**2, np.int64), 1)
    product = white_NP.astype(np.float32) @ by.signs
    exact = white_NP.astype(np.int64) @ by.signs.astype(np.int64)
    assert (product == exact).all()


def test_the_mean_image_itself_has_no_direction_and_is_counted():
    one = images(1, 4, 1)
    by = projected(4, 8, np.repeat(one, 3, 0))
    found_ND, alike = project(np.concatenate([one, images(2, 4, 2), one]), by)
    assert alike == 2
    assert found_ND[[0, 3]].tolist() == [[1] + 7 * [0]] * 2
    np.testing.assert_allclose(np.linalg.norm(found_ND.astype(np.float64), axis=1), 1, atol=2e-3)


def test_angles_are_kept():
    drawn = np.stack([pixels[::3, ::3] for _, pixels in drawings(60)]).reshape(60, -1)
    centred = drawn - drawn.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    by = projected(16, 4096, drawn)
    found = project(drawn, by)[0].astype(np.float64)
    assert np.abs(found @ found.T - centred @ centred.T).max() < 0.08


@pytest.mark.parametrize("change", [{"seed": 1}, {"dim": 9}, {"count": 4}])
def test_the_fingerprint_names_all_that_decides(change):
    facts: dict[str, Any] = {"side": 2, "dim": 8, "seed": 0, "sum_P": np.arange(12), "count": 3}
    one = Projection(**facts).fingerprint
    assert one == Projection(**facts).fingerprint
    assert one != Projection(**(facts | change)).fingerprint
    other: dict[str, Any] = facts | {"sum_P": np.arange(12)[::-1].copy()}
    assert one != Projection(**other).fingerprint


def test_the_code_in_the_cache_key_is_all_that_decides_rows():
    """The tasks' module brings it: the drawing of signs, and how pixels are made."""
    imported = {".".join(path.with_suffix("").parts) for path in transitive(projection.__name__)}
    assert {
        "clipcause.embed.projection",
        "clipcause.runtime.splitmix64",
        "clipcause.embed.ahead",
        "clipcause.embed.pixels",
    } <= imported
    assert {projection.Summing.__module__, projection.Projecting.__module__} <= imported
