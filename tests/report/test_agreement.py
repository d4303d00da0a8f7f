"""Splits by several scores in the report: overlaps by hand, and whose similarities are shown."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clipcause.config import layout
from clipcause.prune import rules, selection, split
from clipcause.prune.by_similarity import Scored
from clipcause.prune.rules.hull import Hull
from clipcause.report import (
    figures,
    measured,
    pictures,
    published,
    tables,
)
from clipcause.report.sections import agreement as section_of
from clipcause.report.sections import splits as splits_section
from clipcause.report.tables import agreement
from clipcause.search import scores
from tests import report_study

RULE: dict[str, Any] = {
    "rule": "hull",
    "base": "dedup",
    "tests": ["sketch"],
    "of": "none",
    "with": "none",
}
SPLITS: dict[str, dict[str, Any]] = {
    "full": {"rule": "none", "base": "all", "of": "none", "with": "none"},
    "other": {**RULE, "scores": "broad"},
    "hull": RULE,
    "random-hull": {"rule": "random", "base": "dedup", "of": "hull", "with": "none", "seed": 0},
}
RUNS = {
    f"{name}-0": {"split": name, "objective": "clip", "seed": 0, "text_from": "none"}
    for name in ("full", "hull", "random-hull")
}
BROAD = {"encoder": "main", "run": "none", "reference": "wide"}
STEP = 0.05


def write_study():
    """A study with a hull split by the encoder, and one by thresholds that lie higher."""
    report_study.write_study(splits=SPLITS, runs=RUNS)
    path = Path("params.yaml")
    content = yaml.safe_load(path.read_text())
    content["scores"] = {"broad": BROAD}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    for test in content["tests"]:
        found = scores.read(layout.similarity("clip", "reference", test))
        one, of_pool = found.test, found.pool
        sim = one.reference_sim + STEP
        moved = scores.TestScores(one.row, sim, one.reference_row, one.pool_sim, one.pool_row)
        margin = of_pool.margin - np.float32(STEP)
        columns = scores.PoolScores(of_pool.max_sim, of_pool.nearest, margin)
        card = {name: found.card[name] for name in scores.SOURCES} | {"reference": "w" * 64}
        scores.write(layout.scores("broad") / test, columns, moved, card)
    margin = scores.read(layout.scores("broad") / "sketch").pool.margin
    base, card = split.read(layout.split("dedup")), dict(split.read(layout.split("other")).card)
    del card["kept"]
    rows = base.rows[margin[base.rows] <= 0]
    split.write(layout.split("other"), rows, card=card)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study()
    return report_study.inputs()


def test_overlaps_by_hand(here):
    (family,) = agreement.families(here)
    assert [one.name for one in family.members] == ["hull", "other"]
    (one,) = family.overlaps
    splits = here.study.sources.splits
    base = set(splits["dedup"].rows.tolist())
    first, second = (base - set(splits[name].rows.tolist()) for name in ("hull", "other"))
    assert 0 < len(second) < len(first)
    assert one.both == len(first & second)
    assert one.jaccard == pytest.approx(len(first & second) / len(first | second))
    shared = len(first) * len(second) / len(base)
    assert one.chance == pytest.approx(shared / (len(first) + len(second) - shared))
    # thresholds that are all higher by one step leave the order of margins as it is
    assert one.same_size == 1


@given(
    margins=st.lists(st.sampled_from([-0.5, -0.0, 0.0, 0.25, 0.5]), min_size=1, max_size=40),
    seed=st.integers(0, 99),
    block=st.sampled_from([3, 64]),
)
def test_the_highest_margins_as_a_set_are_those_of_the_sorted_order(margins, seed, block):
    # a file's row groups are whole blocks of the selection
    both = [Stored(margins, 4 * block), Stored(margins[::-1], 4 * block)]
    rng = np.random.default_rng(seed)
    among = split.from_rows(np.flatnonzero(rng.random(len(margins)) < 0.7))
    count = int(rng.integers(0, len(among) + 1))
    with pytest.MonkeyPatch.context() as patch:  # blocks of the file are whole ones of these
        patch.setattr(agreement, "BLOCK", block)
        patch.setattr(selection, "BLOCK", block)
        found = agreement.highest(among, both, count)
    largest = np.maximum(margins, margins[::-1])
    expected = sorted(among.rows.tolist(), key=lambda row: (-largest[row], row))[:count]
    assert found.rows.tolist() == sorted(expected)
    if count:
        assert pictures.highest(among, both, count).tolist() == expected


class Stored(scores.Scores):
    """Scores of one test set, given in blocks as from a file."""

    def __init__(self, margins, size):
        self.__dict__.update(pool=np.array(margins, np.float32), size=size)

    def pool_blocks(self, columns, rows=None):
        for start in range(0, len(self.pool), self.__dict__["size"]):
            yield start, {"margin": self.__dict__["pool"][start:][: self.__dict__["size"]]}


def test_the_page_has_the_numbers_and_names_the_scores(here):
    content = report_study.collected()
    shown = section_of.view(content)
    assert shown is not None
    (family,) = shown["families"]
    removed = len(here.study.splits["dedup"]) - len(here.study.splits["other"])
    (other,) = [row for row in family["removed"] if row.head.text == "other"]
    assert other.cells[2] == f"{removed:,}"
    assert family["without"] == "other"
    assert "aria-label" in family["panel"].drawing
    drawn = figures.load()["agreement"].files(content)
    assert drawn["agreement"]["data"]["values"]
    rows = content.rows("agreement")
    assert list(rows[0]) == [*tables.load()["agreement"].columns, "colour"]
    assert rows[0]["pair"] == "main and broad"


def test_splits_by_one_of_the_scores_alone_is_nothing_to_compare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_study.write_study()
    content = report_study.collected()
    assert section_of.view(content) is None
    assert figures.load()["agreement"].files(content) == {}
    assert content.rows("agreement") == []


def test_what_is_shown_as_removed_is_judged_by_its_own_scores(here):
    sources = here.study.sources
    found = measured.by(sources, sources.rules["other"])
    for name, own in (("hull", sources.scores), ("other", found.scores)):
        for one in pictures.removed(sources, name, 5):
            at = own["sketch"].test.row.tolist().index(one.test_row)
            assert one.threshold == own["sketch"].test.reference_sim[at]
            assert one.similarity > one.threshold


def test_words_name_the_scores(here):
    assert here.study.rules["other"].sentence().endswith("measured by the scores “broad”")
    assert "scores" not in here.study.rules["hull"].sentence()
    told = splits_section.view(report_study.collected())["splits"]
    (other,) = [row for row in told if row.head.text == "other"]
    assert "measured by the scores “broad”" in other.cells[0].text
    kind = published.counterpart(here.study, ["sketch"])
    assert kind is not None
    assert kind.split == "hull"


def test_scores_that_were_not_made_are_named_with_their_stage(here, tmp_path):
    (layout.scores("broad") / "sketch" / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match="dvc repro scores@broad"):
        measured.by(here.study.sources, here.study.rules["other"])


def test_the_order_of_tests_and_the_scores_make_no_other_family():
    first = agreement._without(rule(tests=["a", "b"]))
    assert first == agreement._without(rule(tests=["b", "a"], scores="x"))
    assert first != agreement._without(rule(tests=["a", "b"], delta=0.1))


class Band(Scored):
    """As somebody else's rule, which the report has never heard of."""

    rule: Literal["band"]
    low: float
    most: int = 9

    def decide(self, given):
        raise NotImplementedError

    def sentence(self):
        return "a band"


def test_any_rule_by_scores_has_families(here):
    sources, own = here.study.sources, {**RULE, "rule": "band", "low": 0.5}
    bands = {
        "hull": Band.model_validate(own),
        "other": Band.model_validate({**own, "scores": "broad"}),
    }
    changed = replace(sources, rules={**sources.rules, **bands})
    (names,) = agreement.of_one_rule(changed)
    found = agreement.family(changed, names)
    assert found.rule == "band for sketch, of dedup, low 0.5"
    assert [one.same_size for one in found.overlaps] == [None]  # margins are the hull's


@pytest.mark.parametrize(
    ("stated", "title"),
    [
        ({"rule": "hull"}, "hull for r and sketch, of dedup"),
        ({"rule": "hull", "delta": 0.05}, "hull for r and sketch, of dedup, delta 0.05"),
        ({"rule": "near", "keep": 0.25}, "near for r and sketch, of dedup, keep 0.25"),
        ({"rule": "core", "keep": 1200000}, "core for r and sketch, of dedup, keep 1200000"),
    ],
)
def test_a_familys_title_has_what_the_rule_states(stated, title):
    entry = {**RULE, "tests": ["r", "sketch"], "scores": "broad", **stated}
    parsed = rules.parse(entry, "splits.x")
    assert isinstance(parsed, Scored)
    assert agreement._title(parsed) == title


def rule(**changes):
    return Hull.model_validate({**RULE, **changes})
