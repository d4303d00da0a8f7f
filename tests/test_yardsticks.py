"""Yardsticks end to end on real icons: scores by another encoder or reference, splits by them."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from clipcause.config import layout, splits, yardsticks
from clipcause.data import dataset
from clipcause.embed import checkpoint, embedding, embeddings, projection
from clipcause.prune import split
from clipcause.runtime import atomic
from clipcause.runtime import shard_cache as cache
from clipcause.search import scores
from stages import check, embed, encoder, prune, similarity, train, yardstick
from tests import learning_study
from tests.artifacts_samples import contents
from tests.real_images import drawings, encoded

ROOT = Path(__file__).parents[1]
YARDSTICKS: dict[str, dict[str, Any]] = {
    "pixels": {"encoder": "pixels", "run": "none", "reference": "reference", "side": 8, "dim": 64},
    "supervised": {"encoder": "run", "run": "supervised-0", "reference": "reference"},
    "again": {"encoder": "run", "run": "supervised-0", "reference": "broad"},
    "broad": {"encoder": "main", "run": "none", "reference": "broad"},
}
HULL: dict[str, Any] = {
    "rule": "hull",
    "base": "all",
    "tests": ["val"],
    "of": "none",
    "with": "none",
}
SPLITS: dict[str, dict[str, Any]] = {
    "hull": HULL,
    **{f"hull-{name}": HULL | {"scores": name} for name in YARDSTICKS},
    "near-pixels": {**HULL, "rule": "near", "keep": 20, "scores": "pixels"},
}
PARTS = {
    "pool": ("mdi", 0, 40),
    "reference": ("fluent-emoji-flat", 0, 12),
    "broad": ("fluent-emoji-flat", 0, 18),
    "tests/val": ("mdi", 40, 52),
}


def samples(prefix, first, last):
    labels = sorted(learning_study.CLASSES)
    return [
        dataset.Sample(
            f"s{at:03d}", encoded(pixels, "PNG"), "png", name, labels[at % 3], 48, 48, name
        )
        for at, (name, pixels) in enumerate(drawings(last, prefix)[first:])
    ]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of drawings: embedded, scored, with its supervised run."""
    root = tmp_path_factory.mktemp("study")
    learning_study.build(root)
    shutil.rmtree(root / "data/tests")
    for name in ("pool", "reference"):
        shutil.rmtree(root / "data" / name)
    for name, (prefix, first, last) in PARTS.items():
        made = samples(prefix, first, last)
        dataset.write(root / "data" / name, made, shard_size=16, max_drop_fraction=0.0)
    learning_study.change(
        root,
        datasets={"broad": {"source": "icons", "raw": "data/catalogue/broad.parquet"}},
        similarity={"block_rows": 16},
        yardsticks=YARDSTICKS,
        splits=SPLITS,
    )
    with pytest.MonkeyPatch.context() as patch:
        learning_study.enter(root, patch)
        pool = dataset.read(layout.dataset("pool"))
        split.write(layout.split("all"), np.arange(40), card={"pool": pool.sha256, "pool_rows": 40})
        encoder.main()
        for name in PARTS:
            embed.main(name)
        similarity.main("val")
        train.main("supervised-0")
    return root


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    return learning_study.enter_copy(study, tmp_path, monkeypatch)


def vectors(folder):
    return embeddings.read(folder).all().astype(np.float64)


@pytest.mark.parametrize("name", YARDSTICKS)
def test_scores_are_those_of_the_embeddings_by_brute_force(here, name):
    assert "of 40 pool rows" in yardstick.main(name)
    one = YARDSTICKS[name]
    root = layout.embeddings_by(name) if name != "broad" else layout.embeddings("clip", "")
    pool, reference, test = (
        vectors(root / part) for part in ("pool", one["reference"], "tests/val")
    )
    found = scores.read(layout.yardstick(name) / "val")
    threshold = (test @ reference.T).max(1)
    margin = (test @ pool.T - threshold[:, None]).max(0)
    np.testing.assert_array_equal(found.test.reference_sim, threshold)
    np.testing.assert_array_equal(found.pool.margin > 0, margin > 0)
    card = atomic.read_json(layout.embeddings_by(name) / "card.json")
    assert found.card["encoder"] == card["encoder"]
    assert found.card["reference"] == dataset.read(layout.dataset(one["reference"])).sha256
    assert card["yardstick"].items() >= one.items()
    prune.main(f"hull-{name}")
    made = split.read(layout.split(f"hull-{name}"))
    assert made.rows.tolist() == np.flatnonzero(margin <= 0).tolist()
    assert made.card["parameters"]["scores"] == name
    assert made.card["encoder"] == card["encoder"]


def test_pixels_are_the_small_images_less_the_references_mean(here):
    yardstick.main("pixels")

    def stamps(name):
        source = dataset.read(layout.dataset(name))
        view = projection.View(size=8)
        whole = [projection.pixels.shard(source, at, view) for at in range(len(source.shards))]
        return np.concatenate(whole).reshape(len(source), -1).astype(np.float64)

    expected = (stamps("pool") - stamps("reference").mean(0)) @ projection.signs(0, 192, 64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = vectors(layout.embeddings_by("pixels") / "pool")
    np.testing.assert_allclose(found, expected, atol=2**-11)


def encoder_of():
    return checkpoint.read(layout.model("encoder")).fingerprint


def test_the_default_measure_leaves_no_trace_in_a_card(here):
    prune.main("hull")
    card = split.read(layout.split("hull")).card
    assert "scores" not in card["parameters"]
    found = scores.read(layout.similarity("clip", "reference", "val"))
    assert card["encoder"] == found.card["encoder"] == encoder_of()


def test_near_reads_the_yardsticks_similarity(here):
    yardstick.main("pixels")
    prune.main("near-pixels")
    similarity_N = scores.read(layout.yardstick("pixels") / "val").pool.max_sim
    order = np.lexsort((np.arange(40), similarity_N))
    assert split.read(layout.split("near-pixels")).rows.tolist() == sorted(order[:20].tolist())


@pytest.fixture
def calls(monkeypatch):
    """The shards that are computed, by either encoder."""
    made = []
    part, project = embedding.part, projection.project
    monkeypatch.setattr(embedding, "part", lambda *given: made.append(1) or part(*given))
    monkeypatch.setattr(projection, "project", lambda *given: made.append(1) or project(*given))
    return made


@pytest.mark.parametrize(("name", "shards"), [("supervised", 5), ("pixels", 5)])
def test_a_run_that_was_stopped_goes_on_where_it_was(here, calls, name, shards):
    before = kept()
    yardstick.main(name)
    first = contents(layout.embeddings_by(name)), contents(layout.yardstick(name))
    assert len(calls) == shards
    yardstick.main(name)
    assert len(calls) == shards
    # one shard of several is lost: the others are not computed again
    made = {path: cache.ARRAYS.load(path) for path in kept() - before}
    lost = [
        path for path, found in made.items() if found and len(found.get(projection.ROWS, ())) == 8
    ]
    lost[0].unlink()
    yardstick.main(name)
    assert len(calls) == shards + 1
    assert (contents(layout.embeddings_by(name)), contents(layout.yardstick(name))) == first


def kept():
    return set(cache.folder().rglob(f"*{cache.ARRAYS.suffix}"))


def test_two_yardsticks_of_one_run_embed_once(here, calls):
    yardstick.main("supervised")
    calls.clear()
    yardstick.main("again")
    assert len(calls) == 2  # the broader reference alone


def test_pixels_that_are_not_kept_give_the_same_bytes(here, monkeypatch):
    yardstick.main("pixels")
    first = contents(layout.embeddings_by("pixels"))
    shutil.rmtree(cache.folder())
    learning_study.change(here, embed={"keep_pixels": False})
    yardstick.main("pixels")
    assert contents(layout.embeddings_by("pixels")) == first


def test_images_that_are_the_mean_are_counted(here, capsys):
    (image,) = samples("mdi", 3, 4)
    made = [dataclasses.replace(image, key=f"c{at}", source=f"c{at}") for at in range(3)]
    shutil.rmtree(here / "data/reference")
    dataset.write(here / "data/reference", made, shard_size=16, max_drop_fraction=0.0)
    said = yardstick.main("pixels")
    # the three of the reference, and the pool's own copy
    assert "4 images equal the mean image and have no direction" in said
    card = atomic.read_json(layout.embeddings_by("pixels") / "card.json")
    assert card["without_direction"] == {"reference": 3, "pool": 1, "tests/val": 0}


WRONG = [
    ({"encoder": "pixel", "run": "none", "reference": "reference"}, "did you mean 'pixels'"),
    ({"encoder": "run", "run": "none", "reference": "reference"}, "it names a run"),
    ({"encoder": "main", "run": "full-0", "reference": "reference"}, "encoder main has none"),
    ({"encoder": "run", "run": "supervise-0", "reference": "reference"}, "'supervised-0'"),
    ({"encoder": "main", "run": "none", "reference": "braod"}, "did you mean 'broad'"),
    (
        {"encoder": "main", "run": "none", "reference": "broad", "side": 8},
        "side is for encoder pix",
    ),
    ({"encoder": "run", "run": "full-0", "reference": "reference"}, "split full, .* circle; take"),
    ({"encoder": "main", "run": "none"}, "reference: missing"),
]


@pytest.mark.parametrize(("entry", "message"), WRONG)
def test_an_entry_that_cannot_be_is_explained(entry, message):
    content = {**learning_study.PARAMS, "yardsticks": {"x": entry}}
    content["datasets"] = {**content["datasets"], "broad": {}}
    with pytest.raises(ValueError, match=rf"p\.yaml: yardsticks\.x.*{message}"):
        yardsticks.check_names(content, "p.yaml")


def test_a_donor_behind_a_run_closes_the_circle_too():
    runs = {
        "cut-0": {"split": "cut", "objective": "clip", "seed": 0},
        "taught": {"split": "none", "objective": "supervised", "seed": 0, "donor": "cut-0"},
    }
    entry = {"encoder": "run", "run": "taught", "reference": "reference"}
    content = {**learning_study.PARAMS, "runs": runs, "yardsticks": {"x": entry}}
    with pytest.raises(ValueError, match="cut-0 learns from the split cut"):
        yardsticks.check_names(content, "p.yaml")


def test_names_that_do_not_exist(here):
    with pytest.raises(ValueError, match="unknown yardstick 'pixel'; did you mean 'pixels'"):
        yardstick.main("pixel")
    learning_study.change(here, splits={"x": HULL | {"scores": "pixel"}})
    with pytest.raises(ValueError, match=r"x\.scores: unknown yardstick 'pixel'; .*'pixels'"):
        splits.load("x")
    with pytest.raises(ValueError, match=r"x\.scores: unknown parameter"):
        splits.parse_rule({**HULL, "rule": "random", "scores": "pixels"}, "x")


def test_scores_that_are_not_there_or_of_another_pool(here):
    with pytest.raises(FileNotFoundError, match="dvc repro yardstick@pixels"):
        prune.main("hull-pixels")
    yardstick.main("pixels")
    shutil.rmtree(here / "data/pool")
    made = samples("mdi", 0, 30)
    dataset.write(here / "data/pool", made, shard_size=16, max_drop_fraction=0.0)
    pool = dataset.read(layout.dataset("pool"))
    split.write(layout.split("all"), np.arange(30), card={"pool": pool.sha256, "pool_rows": 30})
    with pytest.raises(ValueError, match="made with another pool"):
        prune.main("hull-pixels")


def test_the_whole_file_is_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/classes").symlink_to(ROOT / "data/classes")
    content = yaml.safe_load((ROOT / "params.yaml").read_text())

    def written(**changes):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump({**content, **changes}))

    own = {"x": {"encoder": "run", "run": "supervised-0", "reference": "reference"}}
    written(yardsticks=own, splits={**content["splits"], "y": HULL | {"scores": "x"}})
    check.main()
    assert (layout.yardstick("none") / "card.json").exists()
    assert (layout.embeddings_by("none") / "card.json").exists()
    written(yardsticks={"none": own["x"]})
    with pytest.raises(ValueError, match=r"yardsticks\.none: the name is taken"):
        check.main()
    written(yardsticks=own, encoder={**content["encoder"], "name": "by"})
    with pytest.raises(ValueError, match=r"encoder\.name: 'by' is taken"):
        check.main()
    written(yardsticks={"x": own["x"] | {"run": "full-0"}})
    with pytest.raises(ValueError, match="learns from the split full"):
        check.main()
