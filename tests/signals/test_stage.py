"""The stages embed_text and signal, and the rule `signal`, on a small study that learns."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow.parquet as pq
import pytest
import torch

from clipcause.config import engine, layout
from clipcause.config import study as study_config
from clipcause.config.texts import Captions
from clipcause.data import dataset
from clipcause.embed import models, texts
from clipcause.prune import rules, split
from clipcause.runtime import metrics
from clipcause.signals import artifact, kinds
from clipcause.signals.given import read_given
from stages import embed, embed_text, prune, signal, train
from tests import learning_study
from tests.artifacts_samples import contents

SLOTS = {"rule": "signal", "signal": "clip", "base": "all", "of": "none", "with": "none"}
SPLITS = {
    "best": {**SLOTS, "stays": "highest", "keep": 0.25},
    "worst": {**SLOTS, "stays": "lowest", "keep": 7},
    "above": {**SLOTS, "stays": "highest", "threshold": 0.1},
    "below": {**SLOTS, "stays": "lowest", "threshold": 0.1},
}
NBSP = "\N{NO-BREAK SPACE}"
SEVERAL = [2, 5, 11]  # rows that have three captions


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Pool, reference and their embeddings; of the pool some rows have several captions."""
    root = tmp_path_factory.mktemp("signals")
    learning_study.build(root)
    made = learning_study.samples(40, 0, labelled=False)
    made = [
        dataclasses.replace(one, captions=(one.caption, "a wide door", one.caption))
        if at in SEVERAL
        else one
        for at, one in enumerate(made)
    ]
    learning_study.write_dataset(root, "pool", made)
    learning_study.change(
        root,
        texts={"pool": {}},
        signals={"clip": {"kind": "clip-score", "base": "all"}},
        splits=SPLITS,
    )
    with pytest.MonkeyPatch.context() as patch:
        learning_study.enter(root, patch)
        train.main("full-0")
        embed.main("pool")
        embed_text.main("pool")
        signal.main("clip")
    return root


@pytest.fixture
def at(study, monkeypatch):
    return learning_study.enter(study, monkeypatch)


@pytest.fixture
def own(study, tmp_path, monkeypatch):
    return learning_study.enter_copy(study, tmp_path, monkeypatch)


def by_open_clip() -> tuple[np.ndarray, list[int]]:
    """The vector of every caption by open_clip alone, one after the other, and their rows."""
    folder = layout.model("full-0")
    model: Any = open_clip.create_model(f"local-dir:{folder}").eval()
    tokenizer = open_clip.get_tokenizer(
        f"local-dir:{folder}", bpe_path=str(folder / "merges.txt.gz")
    )
    table = pq.read_table(layout.manifest("pool"))
    captions, rows = [], []
    for row, (first, several) in enumerate(
        zip(table["caption"].to_pylist(), table["captions"].to_pylist(), strict=True)
    ):
        for one in several or [first]:
            captions.append(one)
            rows.append(row)
    with torch.no_grad():
        found = torch.cat([model.encode_text(tokenizer([one]), normalize=True) for one in captions])
    return found.numpy(), rows


def test_every_caption_has_the_vector_that_open_clip_gives_it(at):
    found = texts.read(layout.texts("clip", "pool"))
    vectors, rows = by_open_clip()
    assert found.row_T.tolist() == rows
    assert len(rows) == 46
    assert found.index_T[found.row_T == SEVERAL[0]].tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.take(np.arange(46)).astype(np.float64), vectors, atol=2e-3)
    firsts = found.firsts(np.array([2, 3]))
    assert (firsts == found.take(np.array([2, 5]))).all()


def test_the_score_is_the_mean_cosine_of_picture_and_captions(at):
    value_N = artifact.read(layout.signal("clip")).all()
    images = np.concatenate(
        [np.load(path) for path in sorted(Path("embeddings/clip/pool/img_emb").glob("*.npy"))]
    ).astype(np.float64)
    stored = np.concatenate(
        [np.load(path) for path in sorted(Path("texts/clip/pool/text_emb").glob("*.npy"))]
    ).astype(np.float64)
    _, rows = by_open_clip()
    for row in range(40):
        mine = [at for at, owner in enumerate(rows) if owner == row]
        expected = np.mean([images[row] @ stored[one] for one in mine])
        assert value_N[row] == pytest.approx(expected, abs=1e-6)
    assert metrics.read(layout.metrics("signal", "clip"))["captions"] == 46


def test_the_rule_cuts_the_order_exactly(own):
    value_N = artifact.read(layout.signal("clip")).all()
    order = np.lexsort((np.arange(40), value_N))
    limit = float(value_N[order[25]])  # which one row has at least
    at_limit = {name: {**SPLITS[name], "threshold": limit} for name in ("above", "below")}
    learning_study.change(own, splits=at_limit)
    for name in SPLITS:
        prune.main(name)
    assert split.read(layout.split("best")).rows.tolist() == sorted(order[-10:].tolist())
    assert split.read(layout.split("worst")).rows.tolist() == sorted(order[:7].tolist())
    above = split.read(layout.split("above")).rows
    below = split.read(layout.split("below")).rows
    assert above.tolist() == np.flatnonzero(value_N >= value_N[order[25]]).tolist()
    assert below.tolist() == np.flatnonzero(value_N <= value_N[order[25]]).tolist()
    assert {order[25]} <= {*above.tolist()} & {*below.tolist()}
    card = split.read(layout.split("best")).card
    assert card["signal"]["kind"] == "clip-score"
    assert card["least"] == pytest.approx(float(value_N[order[-10]]), abs=1e-6)


def test_the_best_within_classes(own):
    """Of every class as many rows as a draw has, those with the highest values; ties by row."""
    labels = ["square", "circle", "star", None]
    made = [
        dataclasses.replace(one, label=labels[at % 4])
        for at, one in enumerate(learning_study.samples(40, 0, labelled=False))
    ]
    learning_study.write_dataset(own, "pool", made)
    pool = dataset.read(layout.dataset("pool"), shards=False)
    value_N = np.round(np.random.default_rng(0).random(40), 1).astype(np.float32)
    value_N[8] = np.nan  # a square, of which there are enough
    facts = {"kind": "k", "encoder": "e", "parameters": {}, "seen_tests": ["tests/val"]}
    card = {"pool": pool.sha256, **facts}
    artifact.write(layout.signal("clip"), value_N, {}, card)
    best = {**SPLITS["best"], "rule": "quota", "of": "draw", "by": "label"}
    del best["keep"]
    draw = {"rule": "random", "base": "all", "of": "none", "with": "none", "keep": 13, "seed": 3}
    learning_study.change(own, splits={"draw": draw, "best": best})
    prune.main("draw")
    prune.main("best")
    drawn = split.read(layout.split("draw")).rows
    expected = []
    for label in labels:
        mine = [row for row in range(40) if labels[row % 4] == label]
        mine.sort(key=lambda row: (row == 8, -value_N[row], row))
        expected += mine[: sum(labels[row % 4] == label for row in drawn)]
    best = split.read(layout.split("best"))
    assert 8 not in best.rows
    assert best.rows.tolist() == sorted(expected)
    assert (best.card["missing"], best.card["signal"]) == (1, facts)
    assert metrics.read(layout.metrics("prune", "best"))["missing"] == 1
    rule = rules.load("best")
    assert rule.subject == "clip, highest, within classes of draw"
    assert rule.sentence() == (
        "as many rows as draw, with its class counts by label, those with the highest values of "
        "the signal “clip”"
    )


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({}, "by seed, or by a signal"),
        ({"seed": 0, "signal": "clip", "stays": "lowest"}, "by seed, or by a signal"),
        ({"signal": "clip"}, "belong together"),
        ({"seed": 0, "stays": "lowest"}, "belong together"),
    ],
)
def test_a_quota_takes_rows_in_one_order(item, problem):
    given = {"rule": "quota", "base": "all", "of": "draw", "with": "none", "by": "label", **item}
    with pytest.raises(ValueError, match=problem):
        rules.parse(given, "splits.best")


def test_the_same_bytes_again_and_with_the_first_caption_alone_other_ones(own):
    before = contents(Path("texts")), contents(Path("signals"))
    embed_text.main("pool")
    signal.main("clip")
    assert (contents(Path("texts")), contents(Path("signals"))) == before
    learning_study.change(own, texts={"pool": {"captions": "first"}})
    embed_text.main("pool")
    signal.main("clip")
    old, new = before[1]["clip/pool.parquet"], contents(Path("signals"))["clip/pool.parquet"]
    assert old != new
    assert len(texts.read(layout.texts("clip", "pool")).row_T) == 40


def test_rows_without_a_value_are_counted_and_go_or_stay(own):
    folder = layout.signal("clip")
    values = artifact.read(folder)
    value_N = values.all()
    value_N[[0, 4]] = np.nan
    artifact.write(folder, value_N, {}, values.card)
    prune.main("best")
    assert metrics.read(layout.metrics("prune", "best"))["missing"] == 2
    assert not {0, 4} & set(split.read(layout.split("best")).rows.tolist())
    learning_study.change(own, splits={"best": {**SPLITS["best"], "missing": "keep"}})
    prune.main("best")
    assert {0, 4} < set(split.read(layout.split("best")).rows.tolist())
    assert len(split.read(layout.split("best"))) == 10
    learning_study.change(own, splits={"best": {**SPLITS["best"], "keep": 39}})
    with pytest.raises(ValueError, match=r"splits\.best: keep 39 are 39 rows by value, and 38 of"):
        prune.main("best")
    with pytest.raises(ValueError, match=r"2 have none, and missing is drop; .* own base is all"):
        prune.main("best")


def test_a_signal_of_another_pool_or_encoder_is_refused(own):
    made = learning_study.samples(39, 0, labelled=False)
    learning_study.write_dataset(own, "pool", made)
    with pytest.raises(ValueError, match="signals/clip: made from another pool; run the stage"):
        prune.main("best")
    with pytest.raises(ValueError, match="the embeddings' data set is"):
        signal.main("clip")


def test_captions_of_another_encoder_are_refused(own):
    pool = dataset.read(layout.dataset("pool"), shards=False)
    folder = layout.texts("clip", "pool")
    found = texts.read(folder)
    parts = [found.take(np.flatnonzero(found.row_T // 16 == at)) for at in range(3)]
    texts.write(folder, parts, pool, "e" * 64, Captions())
    with pytest.raises(ValueError, match="the embeddings' encoder is eeee"):
        signal.main("clip")


def test_captions_that_are_not_embedded(own):
    shutil.rmtree("texts")
    with pytest.raises(FileNotFoundError, match=r"write `texts: \{pool: \{\}\}` in params.yaml"):
        signal.main("clip")


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"kind": "clip-scor", "base": "all"}, "unknown kind 'clip-scor'; .*'clip-score'"),
        ({"kind": "clip-score", "base": "best"}, "base"),
        ({"kind": "clip-score"}, "a split that a rule chose would be a circle"),
        ({"kind": "clip-score", "base": "all", "bas": 1}, "unknown parameter; .*'base'"),
    ],
)
def test_an_entry_that_is_wrong(own, item, problem):
    learning_study.change(own, signals={"clip": item})
    with pytest.raises(ValueError, match=rf"params\.yaml: signals\.clip.*{problem}"):
        kinds.load("clip")


def test_a_score_of_captions_needs_captions(own):
    learning_study.change(own, texts={})
    content = {"texts": {}, "signals": {"clip": {"kind": "clip-score", "base": "all"}}}
    with pytest.raises(ValueError, match=r"signals\.clip: it compares pictures with captions"):
        kinds.check_names(content, Path("params.yaml"))


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"keep": 0.5, "threshold": 1.0}, "keep, or a threshold, and not both"),
        ({}, "keep, or a threshold, and not both"),
        ({"threshold": float("nan")}, "finite number"),
    ],
)
def test_a_rule_cuts_in_one_way(item, problem):
    with pytest.raises(ValueError, match=problem):
        rules.parse({**SLOTS, "stays": "highest", **item}, "splits.best")


def test_a_rule_names_a_signal_that_there_is(own):
    learning_study.change(own, splits={"best": {**SPLITS["best"], "signal": "clop"}})
    with pytest.raises(ValueError, match=r"splits\.best\.signal: unknown signal 'clop'; .*'clip'"):
        rules.load("best")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("best", f"25.0{NBSP}% of the base with the highest values of the signal “clip”"),
        ("worst", "7 rows with the lowest values of the signal “clip”"),
        ("above", "rows whose value of the signal “clip” is at least 0.1"),
        ("below", "rows whose value of the signal “clip” is at most 0.1"),
    ],
)
def test_what_the_page_says(name, said):
    assert rules.parse(SPLITS[name], f"splits.{name}").sentence() == said


def test_published_features_have_one_caption_a_row(own):
    learning_study.change(own, texts={"pool": {"embeddings": "x#l14_txt"}})
    with pytest.raises(ValueError, match="one caption a row; write captions: first"):
        embed_text.main("pool")
    learning_study.change(own, texts={"pool": {"embeddings": "x", "captions": "first"}})
    with pytest.raises(ValueError, match="the array is missing: FOLDER#l14_txt"):
        embed_text.main("pool")


def test_models_are_seen_by_their_scale(at):
    scale = read_given("all", engine.current()).scale()
    state = models.load(layout.model("full-0")).model.state_dict()
    assert scale == pytest.approx(float(state["logit_scale"].exp()), rel=1e-6)


FOUR = {"clusters": 4, "seed": 0, "iterations": 5}
KINDS = {
    "near": {"kind": "norm-sim", "base": "all", "target": "tests", "p": 2},
    "nearest": {"kind": "norm-sim", "base": "all", "target": "reference", "p": "infinity"},
    "neg": {"kind": "negclip-loss", "base": "all", "batch_size": 16, "batches": 2, "seed": 0},
    "hit": {"kind": "clusters", "base": "all", "target": "reference", **FOUR},
    "hard": {"kind": "near-copies", "base": "all", "order": "farthest", **FOUR},
}


def test_every_kind_by_the_stage(own):
    splits = {name: {**SPLITS["best"], "signal": name, "keep": 0.5} for name in KINDS}
    inside = {**SPLITS["above"], "signal": "hit", "threshold": 1.0}
    learning_study.change(
        own,
        signals=KINDS,
        splits={**splits, "inside": inside},
        similarity={"block_rows": 16},
    )
    datasets = ["reference", *(layout.test(name) for name in study_config.suite())]
    for name in datasets:
        embed.main(name)
    for name in KINDS:
        signal.main(name)
        prune.main(name)
        assert len(split.read(layout.split(name))) == 20
        value_N = artifact.read(layout.signal(name)).all()
        assert np.isfinite(value_N).all()
    before = contents(Path("signals"))
    for name in KINDS:
        signal.main(name)
    assert contents(Path("signals")) == before
    prune.main("inside")
    value_N = artifact.read(layout.signal("hit")).all()
    assert split.read(layout.split("inside")).rows.tolist() == np.flatnonzero(value_N == 1).tolist()
    assert artifact.read(layout.signal("hit")).array("centres").dtype == np.float16
    assert split.read(layout.split("near")).card["signal"]["seen_tests"] == datasets[1:]
    assert "seen_tests" not in split.read(layout.split("nearest")).card["signal"]
