"""The runbook: its tables are those of the studies, and what it names exists."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from benchmarks import costs
from clipcause.check import graph
from clipcause.config import read
from clipcause.data import hub_sets
from clipcause.search import tasks

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/runbook.md").read_text()


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_tables_are_those_of_the_studies():
    assert costs.filled(TEXT) == TEXT, "run `python -m benchmarks.costs --write`"


def test_what_is_known_of_the_hubs_data_sets():
    assert hub_sets.table() in TEXT
    for name in ("cc3m", "cc12m"):
        pool = costs.POOLS[name]
        known = hub_sets.SETS[f"pixparse/{name}-wds"]
        assert (pool.pairs, pool.stored) == (known.samples, known.bytes)


def test_operations_are_those_that_the_field_counts():
    # 27.2 G multiply-adds of the study's encoder, 4.4 and 3.0 of ViT-B/32's towers (open_clip)
    config = costs.Architecture(name="ViT-B-16-plus-240").config()
    assert costs.image_tower(config) / 2e9 == pytest.approx(27.2, rel=0.02)
    config = costs.Architecture(name="ViT-B-32-quickgelu").config()
    assert costs.image_tower(config) / 2e9 == pytest.approx(4.4, rel=0.02)
    assert costs.text_tower(config) / 2e9 == pytest.approx(2.98, rel=0.02)


def test_sizes_of_splits_and_runs():
    content = read(Path("studies/laion400m/params.yaml"))
    base = costs.POOLS["laion400m"].base
    kept = {name: costs.kept(name, content["splits"], base) for name in content["splits"]}
    assert kept["full"] == 200_000_000
    assert kept["random-hull-sketch"] == kept["hull-sketch"] == pytest.approx(191_657_217)
    assert kept["combined"] == pytest.approx(187_600_000)
    assert kept["near-val-150m"] == 150_000_000
    # about 190,000 steps of 33,600
    assert costs.samples("full-0", content, base) / 33_600 == pytest.approx(190_000, rel=0.02)
    content = read(Path("studies/datacomp-small/params.yaml"))
    assert costs.kept("core", content["splits"], 6_200_000) == 3_100_000
    assert costs.samples("core-0", content, 6_200_000) == 12_800_000


def test_what_the_text_says_of_the_tables():
    lines = {
        line.stage: line
        for line in costs.costs("laion400m", read(Path("studies/laion400m/params.yaml")))
    }
    full = lines["train full"]
    peak = dict(costs.ASSUMED.peaks)["A100"] * costs.ASSUMED.model
    days = full.gpu / peak / 8 / 86_400
    assert f"{days:.1f} days on the paper's eight" in TEXT
    assert f"takes {full.cores / (days * 86_400):.0f} cores" in TEXT
    kept = lines["gap, 31 splits"].written
    assert kept / 31 == pytest.approx(4.1e9, rel=0.03)
    assert kept / 31 == pytest.approx(16 * 166_963 * 413e6 / tasks.JOINED)
    assert f"{lines['evaluate, 31 runs'].written / 1e9:.0f} GB of decoded test images" in TEXT
    assert f"reading {full.read / (days * 86_400) / 1e9:.2f} GB/s" in TEXT


def test_what_the_text_says_of_the_hubs_studies():
    lines = {
        name: {
            line.stage: line
            for line in costs.costs(name, read(Path(f"studies/{name}/params.yaml")))
        }
        for name in ("cc3m", "cc12m")
    }
    full = lines["cc3m"]["train full"]
    rates = [peak * costs.ASSUMED.model / (full.gpu / 29e6) for _, peak in costs.ASSUMED.peaks]
    assert [round(rate, -2) for rate in rates] == [2800, 8900]
    assert f"with 16 cores that is the limit, at {full.cores / 16 / 3600:.1f} hours a run" in TEXT
    whole = lines["cc3m"]["train, all 24 runs"].cores / 16 / 3600
    assert f"and {whole:.0f} for all 24" in TEXT
    one = lines["cc12m"]["train full"].cores / 16 / 3600
    assert f"decoding takes {one:.0f} hours a run" in TEXT


def test_what_the_runbook_names_exists():
    for module in re.findall(r"python -m ([\w.]+)", TEXT):
        assert find_spec(module), module
    for path in re.findall(r"`((?:studies|benchmarks|docs|stages)/[\w./-]+)`", TEXT):
        assert (ROOT / path).exists(), path
    stages = graph.read()
    expanded = graph.expand(stages, read(Path("studies/laion400m/params.yaml")))
    for words in re.findall(r"dvc repro (?:--single-item )?([a-z0-9@ -]+)`", TEXT):
        for word in words.split():
            assert word in stages or word in expanded or word == "export@core", word
    for study in re.findall(r"STUDY=([\w-]+)", TEXT):
        assert (ROOT / f"studies/{study}/params.yaml").exists()
    splits = yaml.safe_load((ROOT / "studies/datacomp-small/params.yaml").read_text())["splits"]
    named = re.search(r"With (.*) alone", TEXT)
    assert named
    assert set(re.findall(r"`([\w-]+)`", named[1])) <= splits.keys()
