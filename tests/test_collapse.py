"""Neural collapse against the definition with its C matrices of D x D, and in known geometries."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import special_ortho_group

from clipcause.evaluate import collapse
from clipcause.evaluate.collapse import neural_collapse

SEEDS = st.integers(0, 2**32 - 1)
NAMES = ("nc1", "nc2_m", "nc2nn_m", "nc2_w", "nc2nn_w")


def naive(feature_ND, label_N, prototype_CD):
    """The definition, in float64: the metrics by class, and overall."""
    feature_ND = feature_ND.astype(np.float64)
    classes, dim = len(prototype_CD), feature_ND.shape[1]
    mean_CD = np.stack([feature_ND[label_N == c].mean(axis=0) for c in range(classes)])
    between_DD = np.zeros((dim, dim))
    for mean_D in mean_CD:
        away_D = mean_D - mean_CD.mean(axis=0)
        between_DD += np.outer(away_D, away_D) / classes
    within_CDD = np.zeros((classes, dim, dim))
    for feature_D, label in zip(feature_ND, label_N, strict=True):
        away_D = feature_D - mean_CD[label]
        within_CDD[label] += np.outer(away_D, away_D) / len(feature_ND)
    inverse_DD = np.linalg.pinv(between_DD, rcond=dim * np.finfo(float).eps, hermitian=True)
    found = {"nc1": np.array([np.trace(within_DD @ inverse_DD) for within_DD in within_CDD])}
    overall = {"nc1": np.trace(within_CDD.sum(axis=0) @ inverse_DD) / classes}
    for name, vector_CD in (("m", mean_CD - mean_CD.mean(axis=0)), ("w", prototype_CD)):
        away_CC = np.zeros((classes, classes - 1))
        for c in range(classes):
            others = [d for d in range(classes) if d != c]
            for place, d in enumerate(others):
                a_D, b_D = vector_CD[c], vector_CD[d]
                cosine = a_D @ b_D / np.linalg.norm(a_D) / np.linalg.norm(b_D)
                away_CC[c, place] = abs(cosine + 1 / (classes - 1))
        found[f"nc2_{name}"], found[f"nc2nn_{name}"] = away_CC.mean(axis=1), away_CC.max(axis=1)
        overall[f"nc2_{name}"] = away_CC.mean()
        overall[f"nc2nn_{name}"] = away_CC.max(axis=1).mean()
    return found, overall


def made(seed: int, classes: int, dim: int, per_class: int = 6):
    """Features around class means, uneven numbers of images, prototypes near the means."""
    random = np.random.default_rng(seed)
    mean_CD = random.standard_normal((classes, dim))
    label_N = np.repeat(np.arange(classes), random.integers(1, per_class + 1, classes))
    random.shuffle(label_N)
    feature_ND = mean_CD[label_N] + 0.4 * random.standard_normal((len(label_N), dim)) + 2.0
    return feature_ND, label_N, mean_CD + 0.5 * random.standard_normal((classes, dim))


def simplex(classes: int, dim: int) -> np.ndarray:
    """Vectors of length one at equal angles, whose cosines are -1/(C-1)."""
    vector_CC = np.eye(classes) - 1 / classes
    wide_CD = np.pad(vector_CC, ((0, 0), (0, dim - classes)))
    return wide_CD / np.linalg.norm(wide_CD, axis=1, keepdims=True)


# more dimensions than classes, and the reverse
@given(seed=SEEDS, classes=st.integers(2, 9), dim=st.integers(1, 12))
def test_against_the_definition(seed, classes, dim):
    feature_ND, label_N, prototype_CD = made(seed, classes, dim)
    by_class, overall = naive(feature_ND, label_N, prototype_CD)
    found = neural_collapse(feature_ND, label_N, prototype_CD)
    for name in NAMES:
        assert np.allclose(found.by_class[name], by_class[name], rtol=1e-6, atol=1e-9), name
        assert getattr(found, name) == pytest.approx(overall[name], rel=1e-6, abs=1e-9)
    assert found.numbers().keys() == set(NAMES)


@given(seed=SEEDS, scale=st.floats(1e-4, 1e4))
def test_neither_scale_nor_rotation_nor_shift_of_the_features_matters(seed, scale):
    feature_ND, label_N, _ = made(seed, 5, 8)
    random = np.random.default_rng(seed)
    turn_DD = special_ortho_group.rvs(8, random_state=random)
    found = neural_collapse(feature_ND, label_N)
    other_ND = scale * (feature_ND @ turn_DD + random.standard_normal(8))
    assert neural_collapse(other_ND, label_N).numbers() == pytest.approx(found.numbers(), rel=1e-6)


@given(seed=SEEDS)
def test_the_order_of_classes_and_of_images_changes_nothing(seed):
    feature_ND, label_N, prototype_CD = made(seed, 7, 5)
    random = np.random.default_rng(seed)
    class_C, image_N = random.permutation(7), random.permutation(len(label_N))
    found = neural_collapse(feature_ND, label_N, prototype_CD)
    moved_CD = np.empty_like(prototype_CD)
    moved_CD[class_C] = prototype_CD
    other = neural_collapse(feature_ND[image_N], class_C[label_N][image_N], moved_CD)
    assert other.numbers() == pytest.approx(found.numbers(), rel=1e-9)
    for name in NAMES:
        assert np.allclose(other.by_class[name][class_C], found.by_class[name])


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_an_equal_angle_frame_is_collapsed(classes):
    mean_CD = 3 * simplex(classes, 12) + 5
    label_N = np.repeat(np.arange(classes), 4)
    found = neural_collapse(mean_CD[label_N], label_N, simplex(classes, 12))
    assert found.numbers() == pytest.approx(dict.fromkeys(NAMES, 0.0), abs=1e-12)
    # rounding orders no classes
    assert found.against(np.arange(classes)) == {}


def test_by_hand():
    # means -1 and 1, so Sb = 1; deviations 0.5, and 1 for the second class; four images
    feature_ND = np.array([[-1.5], [-0.5], [0.0], [2.0]])
    found = neural_collapse(feature_ND, np.array([0, 0, 1, 1]), np.array([[1.0], [2.0]]))
    assert found.by_class["nc1"] == pytest.approx([0.5 / 4, 2 / 4])
    assert found.nc1 == pytest.approx(0.625 / 2)
    # centred means are opposite; the prototypes point the same way, and are not centred
    assert found.nc2_m == pytest.approx(0.0, abs=1e-12)
    assert found.nc2_w == found.nc2nn_w == pytest.approx(2.0)


def test_classes_without_samples_are_counted_and_take_no_part():
    feature_ND, label_N, prototype_CD = made(0, 5, 8)
    found = neural_collapse(feature_ND, label_N, prototype_CD)
    wide_CD = np.insert(prototype_CD, 2, 1.0, axis=0)
    other = neural_collapse(feature_ND, label_N + (label_N >= 2), wide_CD)
    assert (other.classes, other.without_samples, found.without_samples) == (5, 1, 0)
    assert other.numbers() == pytest.approx(found.numbers())
    for name in NAMES:
        assert np.isnan(other.by_class[name][2])
        assert np.allclose(np.delete(other.by_class[name], 2), found.by_class[name])
    alone = neural_collapse(feature_ND, label_N, classes=9)
    assert (alone.classes, alone.without_samples) == (5, 4)


def test_without_prototypes_there_is_nothing_of_them():
    feature_ND, label_N, _ = made(0, 5, 8)
    found = neural_collapse(feature_ND, label_N)
    assert found.nc2_w is None
    assert found.numbers().keys() == {"nc1", "nc2_m", "nc2nn_m"}


@pytest.mark.parametrize("label_N", [np.zeros(6, int), np.array([0, 0, 0, 1, 1, 1])])
def test_one_class_or_one_point_for_all_has_no_metrics(label_N):
    feature_ND = np.full((6, 3), 0.1)
    found = neural_collapse(feature_ND, label_N, np.eye(3)[: label_N.max() + 1])
    assert found.nc1 is None
    assert found.nc2_m is None
    assert found.numbers().keys() <= {"nc2_w", "nc2nn_w"}
    assert "nc1" not in found.against(np.arange(label_N.max() + 1))


def test_a_class_in_the_middle_of_all_has_no_direction():
    mean_CD = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = neural_collapse(mean_CD + 3, np.arange(5))
    assert np.isnan(found.by_class["nc2_m"]).tolist() == [False, False, True, False, False]
    # cosines -1, 0, 0 with the others: |.| = 3/4, 1/4, 1/4
    assert found.nc2_m == pytest.approx(1.25 / 3)
    assert found.nc2nn_m == pytest.approx(0.75)


def test_correlations_with_other_values_of_the_classes():
    feature_ND, label_N, prototype_CD = made(3, 6, 8)
    found = neural_collapse(feature_ND, label_N, prototype_CD)
    for name in NAMES:
        assert found.against(found.by_class[name])[name] == pytest.approx(1.0)
        assert found.against(-found.by_class[name])[name] == pytest.approx(-1.0)
    half_C = np.array([1.0, np.nan, 3.0, 2.0, np.nan, 4.0])
    kept = [0, 2, 3, 5]
    ranks = np.argsort(np.argsort(found.by_class["nc1"][kept])), np.array([0, 2, 1, 3])
    assert found.against(half_C)["nc1"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert found.against(np.ones(6)) == {}
    for other in (5, 1):
        with pytest.raises(ValueError, match=f"^{other} values of 6 classes"):
            found.against(np.ones(other))


def test_neither_blocks_nor_the_width_of_the_features_matter(monkeypatch):
    feature_ND, label_N, prototype_CD = made(1, 9, 6, per_class=30)
    narrow_ND = feature_ND.astype(np.float32)
    found = neural_collapse(narrow_ND, label_N, prototype_CD)
    assert found.numbers() == pytest.approx(
        neural_collapse(narrow_ND.astype(np.float64), label_N, prototype_CD).numbers(), rel=1e-12
    )
    monkeypatch.setattr(collapse, "BLOCK", 4)
    cut = neural_collapse(narrow_ND, label_N, prototype_CD)
    assert cut.numbers() == pytest.approx(found.numbers(), rel=1e-9)


def test_no_matrix_of_a_class_is_held():
    feature_ND, label_N, prototype_CD = made(0, 100, 200, per_class=20)
    neural_collapse(feature_ND[:300], label_N[:300] % 3)  # what is loaded once is no matter here
    tracemalloc.start()
    try:
        neural_collapse(feature_ND, label_N, prototype_CD)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 200 * 200 * 8 / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_ND": np.empty((0, 8)), "label_N": np.empty(0, int)}, "no features"),
        ({"feature_ND": np.full((3, 8), np.nan)}, "3 of 3 images are not finite"),
        ({"label_N": np.array([0, 1, 3])}, "labels 0 to 3 are not among 3 classes"),
        ({"label_N": np.array([0, -1, 2])}, "labels -1 to 2 are not among 3"),
        ({"prototype_CD": np.zeros((3, 8))}, "3 of 3 prototypes are zero"),
        ({"classes": 4}, "3 prototypes of 4 classes"),
        ({"label_N": np.arange(2)}, "2 labels of 3 features"),
        ({"label_N": np.array([2])}, "1 labels of 3 features"),
        ({"label_N": np.empty(0, int)}, "0 labels of 3 features"),
        ({"label_N": np.eye(3, dtype=int)}, "3 x 3 labels of 3 features"),
        ({"feature_ND": np.ones(3)}, "rows of a matrix, and these are 3$"),
        ({"prototype_CD": np.eye(3, 7)}, "prototypes are 3 x 7, and features 3 x 8"),
        ({"prototype_CD": np.ones(3)}, "prototypes are 3, and features 3 x 8"),
    ],
)
def test_impossible_input(changes, message):
    usual: dict[str, Any] = {
        "feature_ND": np.eye(3, 8),
        "label_N": np.arange(3),
        "prototype_CD": np.eye(3, 8),
    }
    with pytest.raises(ValueError, match=message):
        neural_collapse(**{**usual, **changes})
