"""Linear probes: nested draws, the fit against its own definition, the stage on a small study."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from clipcause.config import layout, parse
from clipcause.config.evaluate import Evaluate
from clipcause.config.probes import Probe
from clipcause.data import dataset
from clipcause.embed import models
from clipcause.evaluate import linear_probes, predictions, probes, probing
from clipcause.prune import split
from clipcause.runtime import metrics
from stages import probe
from tests import learning_study
from tests.artifacts_samples import contents

GRID = [1e-4, 1e-2, 1.0]
ENTRY = {"run": "any", "data": "reference", "split": "none", "regularisation": GRID, "seed": 3}


def world(counts=(40, 20, 5, 1), dim=6, seed=0, noise=1.0):
    """Features around one centre for each class, in a mixed order."""
    random = np.random.default_rng(seed)
    class_N = random.permutation(np.repeat(np.arange(len(counts)), counts))
    centre_CD = random.normal(size=(len(counts), dim))
    feature_ND = centre_CD[class_N] + noise * random.normal(size=(len(class_N), dim))
    return feature_ND, class_N, np.sort(random.choice(10_000, len(class_N), replace=False))


def draws(class_N, row_N, shots, *, seed=0, draw=0, held_out=0.2):
    return probing.drawn(class_N, row_N, shots, seed=seed, draw=draw, held_out=held_out)


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    held_out=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    draw=st.integers(0, 3),
)
def test_draws_are_nested_and_apart_from_what_is_held_out(counts, held_out, draw):
    _, class_N, row_N = world(tuple(counts))
    everything = draws(class_N, row_N, None, draw=draw, held_out=held_out)
    both = np.sort(np.concatenate([everything.fitted, everything.held]))
    assert np.array_equal(both, np.arange(len(class_N)))
    held_C = np.bincount(class_N[everything.held], minlength=len(counts))
    for count, held in zip(counts, held_C, strict=True):
        most = round(held_out * count)
        assert held == (min(max(most, 1), count - 1) if held_out else 0)
    last = set()
    for shots in (1, 2, 4, 8):
        some = draws(class_N, row_N, shots, draw=draw, held_out=held_out)
        assert np.array_equal(some.held, everything.held)
        assert last <= set(some.fitted.tolist()) <= set(everything.fitted.tolist())
        last = set(some.fitted.tolist())
        found_C = np.bincount(class_N[some.fitted], minlength=len(counts))
        left_C = np.array(counts) - held_C
        assert np.array_equal(found_C, np.minimum(left_C, shots))
        assert some.short == (left_C < shots).sum()


def test_a_draw_is_of_seed_and_number_and_row_alone():
    _, class_N, row_N = world()
    first = draws(class_N, row_N, 4)
    assert not np.array_equal(first.fitted, draws(class_N, row_N, 4, draw=1).fitted)
    assert not np.array_equal(first.fitted, draws(class_N, row_N, 4, seed=1).fitted)
    # without another class, and in another order, the same rows are drawn
    kept = np.flatnonzero(class_N != 3)[::-1]
    again = draws(class_N[kept], row_N[kept], 4)
    expected = {row_N[at] for at in first.fitted if class_N[at] != 3}
    assert {row_N[kept][at] for at in again.fitted} == expected


@pytest.mark.parametrize("counts", [(30, 20, 10), (30, 20)])
def test_a_fit_has_no_slope_left(counts):
    """The gradient of the loss as its docstring defines it, at the solution, in its own scale."""
    feature_ND, class_N, _ = world(counts)
    strength = 0.03
    (model,) = probing.fits(feature_ND, class_N, [strength], 1000)
    centred = feature_ND - feature_ND.mean(0)
    unit = np.sqrt((centred**2).mean())
    odds_NC = np.exp(log_softmax(model.scores(feature_ND), axis=1))
    wrong_NC = odds_NC - np.eye(len(counts))[class_N]
    slope_CD = wrong_NC.T @ (centred / unit) / len(class_N)
    weight_CD = model.weight_CD * unit
    if len(counts) == 2:  # one row of weights, that of the second class less that of the first
        slope_CD, weight_CD = slope_CD[1:], weight_CD[1:]
    assert slope_CD + strength * weight_CD == pytest.approx(0.0, abs=1e-4)
    assert wrong_NC.mean(0) == pytest.approx(0.0, abs=1e-4)


def test_the_size_of_features_changes_nothing():
    feature_ND, class_N, row_N = world()
    rows = draws(class_N, row_N, None)
    options = {"iterations": 1000, "again": True}
    model = probing.probe(feature_ND, class_N, rows, GRID, **options)
    moved = probing.probe(50.0 * feature_ND + 3.0, class_N, rows, GRID, **options)
    assert moved.strength == model.strength
    assert moved.scores(50.0 * feature_ND + 3.0) == pytest.approx(model.scores(feature_ND), 1e-3)


def test_regularisation_is_chosen_on_rows_held_out():
    feature_ND, class_N, row_N = world((60, 60, 60), dim=40, noise=3.0)
    rows = draws(class_N, row_N, 8)
    chosen = probing.probe(feature_ND, class_N, rows, GRID, iterations=1000, again=False)
    each = probing.fits(feature_ND[rows.fitted], class_N[rows.fitted], GRID, 1000)
    assert [model.strength for model in each] == sorted(GRID, reverse=True)
    found = {
        model.strength: probing.class_accuracy(
            model.scores(feature_ND[rows.held]), class_N[rows.held]
        )
        for model in each
    }
    best = max(found.values())
    assert chosen.strength == max(strength for strength, right in found.items() if right == best)


def test_accuracy_counts_classes_alike():
    score_QC = np.eye(3)[[0, 0, 0, 1]]
    # of class 0 three of three, of class 1 none of one; class 2 does not occur
    assert probing.class_accuracy(score_QC[:3], np.array([0, 0, 0])) == 1.0
    assert probing.class_accuracy(score_QC[[0, 1, 2, 0]], np.array([0, 0, 0, 1])) == 0.5


def test_fits_that_cannot_be():
    feature_ND, class_N, row_N = world((1, 1, 1))
    rows = draws(class_N, row_N, None)
    with pytest.raises(ValueError, match="every class has one row"):
        probing.probe(feature_ND, class_N, rows, GRID, iterations=10, again=True)
    probing.probe(feature_ND, class_N, rows, [0.1], iterations=100, again=True)
    with pytest.raises(ValueError, match="its rows have 1"):
        probing.fits(feature_ND, class_N * 0, GRID, 10)
    with pytest.raises(ValueError, match="of all 3 rows are equal"):
        probing.fits(feature_ND * 0, class_N, GRID, 10)
    _, hard, _ = world((30, 30, 30))
    (stopped,) = probing.fits(world((30, 30, 30))[0], hard, [1e-6], 2)
    assert stopped.unfinished == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "some"}, "split 'some' is of the pool: data reference has none"),
        ({"shots": [1, 1]}, "shots has a value twice"),
        ({"regularisation": []}, "regularisation"),
        ({"shot": [1]}, "did you mean 'shots'"),
    ],
)
def test_entries_that_say_two_things(changes, message):
    with pytest.raises(ValueError, match=message):
        parse({**ENTRY, **changes}, Probe, "probes.some")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        config = learning_study.LAYER_NORM
        clip = models.create(config, None, image_size=32, seed=0)
        learning_study.store(clip, layout.model("any"))
        made = learning_study.samples(21, 100, labelled=True)
        dataset.write(root / "data/pool", made, shard_size=8, max_drop_fraction=0.0)
        card = {"pool": dataset.read(layout.dataset("pool")).sha256}
        split.write(layout.split("some"), np.arange(0, 21, 2), card=card)
    return root


@pytest.fixture
def here(study, monkeypatch):
    learning_study.enter(study, monkeypatch)
    kept = (study / "params.yaml").read_bytes()
    yield study
    (study / "params.yaml").write_bytes(kept)


def stated(here, **changes):
    learning_study.change(here, probes={"some": {**ENTRY, **changes}})
    return probe.main("some")


def test_predictions_and_numbers_of_a_few_shot_probe(here, capsys):
    said = stated(here, shots=[1, 16], draws=2)
    assert "val shots-1 " in said
    assert "shots-16: 3 of 3 classes have fewer rows: all are used" in capsys.readouterr().err
    numbers = metrics.read(layout.metrics("probe", "some"))
    assert numbers["train"]["rows"] == 21
    # of seven rows of a class one is held out
    assert numbers["train"]["shots-1"] == {"fitted": 3, "held_out": 3, "short": 0}
    assert numbers["train"]["shots-16"] == {"fitted": 18, "held_out": 3, "short": 3}
    of = numbers["tests"]["val"]
    assert (of["n"], of["left_out"]) == (15, 0)
    for shots in (1, 16):
        right = []
        for draw in range(2):
            folder = probes.predictions(layout.probes("some"), shots, draw)
            table = predictions.read(folder, "val")
            assert table.num_rows == 15
            right.append((table["rank"].to_numpy() == 1).mean())
        given = of[f"shots-{shots}"]
        assert list(given["draws"].values()) == pytest.approx(right, abs=1e-6)
        assert given["top1"] == pytest.approx(np.mean(right), abs=1e-6)
        assert given["deviation"] == pytest.approx(np.std(right, ddof=1), abs=1e-6)
        assert set(given["regularisation"].values()) <= set(GRID)
    # a random tower sees colours
    assert of["shots-16"]["top1"] > 0.6


def test_repeated_probes_give_the_same_bytes(here):
    stated(here, shots=[2], draws=2)
    first = contents(layout.probes("some"))
    stated(here, shots=[2], draws=2)
    assert contents(layout.probes("some")) == first


def test_a_linear_probe_of_the_pools_labels(here):
    stated(here, data="pool", split="some")
    numbers = metrics.read(layout.metrics("probe", "some"))
    assert numbers["train"]["rows"] == 11
    assert set(numbers["tests"]["val"]) == {"all", "n", "left_out"}
    assert "deviation" not in numbers["tests"]["val"]["all"]
    folder = probes.predictions(layout.probes("some"), None, 0)
    assert predictions.read(folder, "val").num_rows == 15


def test_classes_that_the_rows_do_not_have_are_left_out_and_counted(here, capsys):
    manifest = dataset.read(layout.dataset("pool"))
    rows = [row for row, label in enumerate(manifest.labels) if label != "sky"]
    split.write(layout.split("two"), rows, card={"pool": manifest.sha256})
    stated(here, data="pool", split="two")
    assert "5 of 15 images have a class that the probe's rows do not" in capsys.readouterr().err
    numbers = metrics.read(layout.metrics("probe", "some"))["tests"]["val"]
    assert (numbers["n"], numbers["left_out"]) == (10, 5)


def test_rows_without_labels(here, capsys):
    kept = dataset.read(layout.dataset("pool"))
    made = learning_study.samples(21, 100, labelled=True)
    bare = [*made[:12], *learning_study.samples(9, 112, labelled=False)]
    where = here / "data/other"
    dataset.write(where, bare, shard_size=8, max_drop_fraction=0.0)
    manifest = dataset.read(where)
    rows, labels = linear_probes.labelled(manifest, None)
    assert rows.tolist() == list(range(12))
    assert labels == [str(label) for label in kept.labels[:12]]
    assert "9 of 21 rows have no label" in capsys.readouterr().err
    with pytest.raises(ValueError, match="none of 9 rows has a label"):
        linear_probes.labelled(manifest, np.arange(12, 21))


def test_features_are_those_before_normalisation(here):
    clip = models.load(layout.model("any"))
    manifest = dataset.read(layout.dataset("pool"))
    settings = parse(learning_study.PARAMS["evaluate"], Evaluate, "evaluate")
    device = models.settle(1, "cpu")
    row_N = np.array([1, 7, 8, 20])
    found_ND = linear_probes.features(clip, manifest, row_N, settings, device, "pool")
    every_ND = linear_probes.features(clip, manifest, np.arange(21), settings, device, "pool")
    assert found_ND == pytest.approx(every_ND[row_N], abs=1e-5)
    assert abs(np.linalg.norm(found_ND, axis=1) - 1.0).min() > 1e-3
