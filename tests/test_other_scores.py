"""Other scores end to end on real icons: scores by another encoder or reference, splits by them."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from clipcause.config import layout, other_scores
from clipcause.data import dataset
from clipcause.embed import checkpoint, embedding, embeddings, projection
from clipcause.prune import rules, split
from clipcause.runtime import atomic
from clipcause.runtime import shard_cache as cache
from clipcause.search import scores
from stages import check, embed, prune, similarity, train
from stages import scores as stage
from tests import learning_study
from tests.artifacts_samples import contents
from tests.real_images import drawings, encoded

ROOT = Path(__file__).parents[1]
ENTRIES: dict[str, dict[str, Any]] = {
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
    **{f"hull-{name}": HULL | {"scores": name} for name in ENTRIES},
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
    for name, (prefix, first, last) in PARTS.items():
        learning_study.write_dataset(root, name, samples(prefix, first, last))
    learning_study.change(
        root,
        datasets={"broad": {"source": "icons", "raw": "data/catalogue/broad.parquet"}},
        similarity={"block_rows": 16},
        scores=ENTRIES,
        splits=SPLITS,
    )
    with pytest.MonkeyPatch.context() as patch:
        learning_study.enter(root, patch)
        train.main("full-0")
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


@pytest.mark.parametrize("name", ENTRIES)
def test_scores_are_those_of_the_embeddings_by_brute_force(here, name):
    assert "of 40 pool rows" in stage.main(name)
    one = ENTRIES[name]
    root = layout.embeddings_by(name) if name != "broad" else layout.embeddings("clip", "")
    pool, reference, test = (
        vectors(root / part) for part in ("pool", one["reference"], "tests/val")
    )
    found = scores.read(layout.scores(name) / "val")
    threshold = (test @ reference.T).max(1)
    margin = (test @ pool.T - threshold[:, None]).max(0)
    np.testing.assert_array_equal(found.test.reference_sim, threshold)
    np.testing.assert_array_equal(found.pool.margin > 0, margin > 0)
    card = atomic.read_json(layout.embeddings_by(name) / "card.json")
    assert found.card["encoder"] == card["encoder"]
    assert found.card["reference"] == dataset.read(layout.dataset(one["reference"])).sha256
    assert card["scores"].items() >= one.items()
    prune.main(f"hull-{name}")
    made = split.read(layout.split(f"hull-{name}"))
    assert made.rows.tolist() == np.flatnonzero(margin <= 0).tolist()
    assert made.card["parameters"]["scores"] == name
    assert made.card["encoder"] == card["encoder"]


def test_pixels_are_the_small_images_less_the_references_mean(here):
    stage.main("pixels")

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
    return checkpoint.read(layout.model("full-0")).fingerprint


def test_the_default_measure_leaves_no_trace_in_a_card(here):
    prune.main("hull")
    card = split.read(layout.split("hull")).card
    assert "scores" not in card["parameters"]
    found = scores.read(layout.similarity("clip", "reference", "val"))
    assert card["encoder"] == found.card["encoder"] == encoder_of()


def test_near_reads_the_entrys_similarity(here):
    stage.main("pixels")
    prune.main("near-pixels")
    similarity_N = scores.read(layout.scores("pixels") / "val").pool.max_sim
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
    stage.main(name)
    first = contents(layout.embeddings_by(name)), contents(layout.scores(name))
    assert len(calls) == shards
    stage.main(name)
    assert len(calls) == shards
    # one shard of several is lost: the others are not computed again
    made = {path: cache.ARRAYS.load(path) for path in kept() - before}
    lost = [
        path for path, found in made.items() if found and len(found.get(projection.ROWS, ())) == 8
    ]
    lost[0].unlink()
    stage.main(name)
    assert len(calls) == shards + 1
    assert (contents(layout.embeddings_by(name)), contents(layout.scores(name))) == first


def kept():
    return set(cache.folder().rglob(f"*{cache.ARRAYS.suffix}"))


def test_two_entries_of_one_run_embed_once(here, calls):
    stage.main("supervised")
    calls.clear()
    stage.main("again")
    assert len(calls) == 2  # the broader reference alone


def test_pixels_that_are_not_kept_give_the_same_bytes(here, monkeypatch):
    stage.main("pixels")
    first = contents(layout.embeddings_by("pixels"))
    shutil.rmtree(cache.folder())
    learning_study.change(here, embed={"keep_pixels": False})
    stage.main("pixels")
    assert contents(layout.embeddings_by("pixels")) == first


def test_images_that_are_the_mean_are_counted(here, capsys):
    (image,) = samples("mdi", 3, 4)
    made = [dataclasses.replace(image, key=f"c{at}", source=f"c{at}") for at in range(3)]
    shutil.rmtree(here / "data/reference")
    dataset.write(here / "data/reference", made, shard_size=16, max_drop_fraction=0.0)
    said = stage.main("pixels")
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
    ({"encoder": "run", "run": "half-0", "reference": "reference"}, "split half, .* circle; take"),
    ({"encoder": "main", "run": "none"}, "reference: missing"),
]


@pytest.mark.parametrize(("entry", "message"), WRONG)
def test_an_entry_that_cannot_be_is_explained(entry, message):
    content = {**learning_study.PARAMS, "scores": {"x": entry}}
    content["datasets"] = {**content["datasets"], "broad": {}}
    with pytest.raises(ValueError, match=rf"p\.yaml: scores\.x.*{message}"):
        other_scores.check_names(content, "p.yaml")


def test_a_text_tower_behind_a_run_closes_the_circle_too():
    runs = {
        "cut-0": {"split": "cut", "objective": "clip", "seed": 0},
        "taught": {"split": "none", "objective": "supervised", "seed": 0, "text_from": "cut-0"},
    }
    entry = {"encoder": "run", "run": "taught", "reference": "reference"}
    content = {**learning_study.PARAMS, "runs": runs, "scores": {"x": entry}}
    with pytest.raises(ValueError, match="cut-0 learns from the split cut"):
        other_scores.check_names(content, "p.yaml")


def test_names_that_do_not_exist(here):
    with pytest.raises(ValueError, match="unknown scores 'pixel'; did you mean 'pixels'"):
        stage.main("pixel")
    learning_study.change(here, splits={"x": HULL | {"scores": "pixel"}})
    with pytest.raises(ValueError, match=r"x\.scores: unknown scores 'pixel'; .*'pixels'"):
        rules.load("x")
    with pytest.raises(ValueError, match=r"x\.scores: unknown parameter"):
        rules.parse({**HULL, "rule": "random", "scores": "pixels"}, "x")


def test_scores_that_are_not_there_or_of_another_pool(here):
    with pytest.raises(FileNotFoundError, match="dvc repro scores@pixels"):
        prune.main("hull-pixels")
    stage.main("pixels")
    learning_study.write_dataset(here, "pool", samples("mdi", 0, 30))
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
    written(scores=own, splits={**content["splits"], "other": HULL | {"scores": "x"}})
    check.main()
    assert (layout.scores("none") / "card.json").exists()
    assert (layout.embeddings_by("none") / "card.json").exists()
    written(scores={"none": own["x"]})
    with pytest.raises(ValueError, match=r"scores\.none: the name is taken"):
        check.main()
    written(scores=own, encoder={**content["encoder"], "name": "by"})
    with pytest.raises(ValueError, match=r"encoder\.name: 'by' is taken"):
        check.main()
    written(scores={"x": own["x"] | {"run": "core-0"}})
    with pytest.raises(ValueError, match="learns from the split core"):
        check.main()
