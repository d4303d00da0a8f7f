"""The studies that no machine here can run: complete, and what the study says."""

import re
from pathlib import Path

import pytest
import yaml

from benchmarks.costs import TESTS
from clipcause.check import command, graph
from clipcause.check.paths import MISSING
from clipcause.config import parse
from clipcause.config.deduplicate import Deduplicate
from clipcause.config.objectives.clip import Clip
from clipcause.config.train import Train
from clipcause.prune import split
from clipcause.train import plans

ROOT = Path(__file__).parents[2]
LARGE = ("laion400m", "datacomp-small")


@pytest.fixture(params=LARGE)
def study(request, monkeypatch):
    monkeypatch.chdir(ROOT)
    return Path(f"studies/{request.param}/params.yaml")


def test_valid_and_nothing_but_data_is_missing(study):
    content, found = command.whole(study)
    missing = {place.key for place in found if place.state == MISSING}
    assert missing <= {
        "places.pool",  # which may grow; the others are what they are
        "datasets.reference.place",
        *(f"datasets.tests/{name}.place" for name in TESTS),
    }
    data = content["datasets"]
    assert {name: data[f"tests/{name}"]["images"] for name in content["tests"]} == TESTS
    encoder = content["runs"][content["encoder"]["run"]]
    assert encoder["objective"] == "pretrained"
    assert encoder["model"] == "ViT-B-16-plus-240"
    assert encoder["pretrained"] == "laion400m_e32"


def test_all_splits_of_the_study_and_a_run_of_each(study):
    content = yaml.safe_load(study.read_text())
    splits = content["splits"]
    assert {entry["base"] for entry in splits.values()} == {"dedup"}
    assert {f"hull-{test}" for test in TESTS} | {"full", "combined", "core"} <= splits.keys()
    assert splits["combined"]["tests"] == splits["core"]["tests"] == list(TESTS)
    for name in (*(f"hull-{test}" for test in TESTS), "combined"):
        assert splits[f"random-{name}"]["of"] == name
    for ladder in ("near-sketch", "far-sketch", "near-val", "far-val", "random"):
        assert len([name for name in splits if re.fullmatch(rf"{ladder}-\d+m?", name)]) == 3
    trained = {name: one for name, one in content["runs"].items() if name != "published"}
    assert [entry["split"] for entry in trained.values()] == list(splits)
    order = graph.check(graph.expand(graph.read(), content))
    assert order.index("prune@combined") < order.index("prune@random-combined")


def test_the_paper_scale():
    content = yaml.safe_load((ROOT / "studies/laion400m/params.yaml").read_text())
    settings = parse(content["train"], Train, "train")
    assert settings.clip.batch_size == 33_600
    assert settings.model.config()["quick_gelu"] is True
    deduplicate = parse(content["deduplicate"], Deduplicate, "deduplicate")
    assert (deduplicate.clusters, deduplicate.threshold) == (50_000, 0.876)
    assert content["splits"]["core"]["keep"] == 100_000_000
    # 50, 100 and 150 M of 200 M are removed
    kept = sorted(content["splits"][f"near-sketch-{size}m"]["keep"] for size in (150, 100, 50))
    assert kept == [50_000_000, 100_000_000, 150_000_000]
    trained = {name: one for name, one in content["runs"].items() if name != "published"}
    assert {entry["epochs"] for entry in trained.values()} == {32}
    # what is not in the paper says so
    text = (ROOT / "studies/laion400m/params.yaml").read_text()
    for key in ("learning_rate", "warmup", "weight_decay", "betas", "precision"):
        first = next(line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
        assert "# assumption" in first, first


def test_every_run_of_the_fixed_recipe_costs_the_same():
    content = yaml.safe_load((ROOT / "studies/datacomp-small/params.yaml").read_text())
    clip = parse(content["train"], Train, "train").clip
    assert (clip.samples_seen, clip.batch_size) == (12_800_000, 4096)
    assert not [entry for entry in content["runs"].values() if "epochs" in entry]


def test_epochs_are_passes_over_a_runs_own_rows():
    content = yaml.safe_load((ROOT / "studies/laion400m/params.yaml").read_text())
    settings = parse(content["train"], Train, "train")
    rows = split.from_rows(list(range(100_000)))
    entry = Clip(split="x", objective="clip", seed=0, epochs=32.0)
    planned = plans.plan(entry, rows, settings, 5_000)
    # 32 * 105,000 is 100 batches of 33,600
    assert planned.train.clip.samples_seen == 32 * 105_000
    assert planned.train.supervised == settings.supervised
    alone = entry.model_copy(update={"add_reference": False})
    assert plans.plan(alone, rows, settings, 5_000).train.clip.samples_seen == 95 * 33_600
    without = entry.model_copy(update={"epochs": None})
    assert plans.plan(without, rows, settings, 5_000).train == settings
