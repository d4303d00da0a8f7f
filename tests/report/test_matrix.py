"""The matrices: every split on every test set, and what splits removed in common."""

import copy
import csv
from html import escape
from pathlib import Path

import numpy as np
import pytest

from clipcause.prune.rules import parse as parse_rule
from clipcause.prune.split import from_rows
from clipcause.report import decimals, study
from clipcause.report.figures import lines, overlap
from clipcause.report.study import Sources
from clipcause.report.tables import matrix
from tests import report_study
from tests.report_study import RUNS, SPLITS, write_study

RANDOM = {"rule": "random", "base": "dedup", "of": "none", "with": "none", "keep": 40}


def read(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def removing(base, of, total=100):
    """What overlaps are of: splits by the rows that they removed."""
    rules = {name: parse_rule({**RANDOM, "base": base[name], "seed": 0}, name) for name in of}
    splits = {name: from_rows(np.arange(total)) for name in set(base.values())}
    for name, gone in of.items():
        splits[name] = from_rows(np.setdiff1d(np.arange(total), gone))
    made = object.__new__(Sources)
    made.__dict__.update(rules=rules, splits=splits)
    return made


def test_overlaps_by_hand():
    base = {"a": "dedup", "b": "dedup", "c": "dedup", "d": "all", "same": "dedup"}
    gone = {"a": range(10), "b": range(5, 15), "c": range(50, 52), "d": range(3), "same": []}
    rows = matrix.of_sources(removing(base, {name: list(rows) for name, rows in gone.items()}))
    # of "all" there is one split alone, and "same" removed nothing
    assert {row.base for row in rows} == {"dedup"}
    found = {(row.first, row.second): row for row in rows}
    assert len(found) == 9
    assert found["a", "b"].jaccard == found["b", "a"].jaccard == round(5 / 15, 4)
    assert found["a", "c"].jaccard == 0
    assert found["b", "b"].jaccard == found["b", "b"].chance == 1
    # 10 and 10 of 100 have one in common by chance
    assert found["a", "b"].chance == round(1 / 19, 4)
    assert (found["a", "c"].removed_first, found["a", "c"].removed_second) == (10, 2)


def test_a_split_that_is_no_part_of_its_base_is_left_out():
    of = removing({"a": "dedup", "b": "dedup"}, {"a": [1], "b": [2]})
    of.splits["more"] = from_rows(np.arange(5, 200))
    of.rules["more"] = of.rules["a"]
    assert list(matrix.removed(of)["dedup"]) == ["a", "b"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study with more splits than fit into a matrix."""
    splits, runs = copy.deepcopy(SPLITS), copy.deepcopy(RUNS)
    for number in range(6):
        splits[f"more-{number}"] = {**RANDOM, "keep": 50 + number, "seed": number}
        runs[f"more-{number}-0"] = {"split": f"more-{number}", "objective": "clip", "seed": 0}
    folder = tmp_path_factory.mktemp("matrix")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(overlap, "MOST", 5)
        patch.setattr(lines, "MOST", 5)
        write_study(splits=splits, runs=runs, report={"resamples": 100, "neighbours": 0})
        report_study.reported()
    return folder


def test_every_number_is_the_tables(written, monkeypatch):
    monkeypatch.chdir(written)
    kept = {(row["split"], row["test"]): row for row in read(Path("report/table.csv"))}
    rows = read(Path("report/plots/matrix.csv"))
    assert len(rows) == len(kept) == 10 * 2
    for row in rows:
        one = kept[row["split"], row["test"]]
        assert float(row["top1"]) == pytest.approx(100 * float(one["top1"]), abs=1e-3)
        assert (row["difference"] == "") == (one["drop"] == "") == (row["told"] == "")
        if one["drop"]:
            assert float(row["difference"]) == pytest.approx(-100 * float(one["drop"]), abs=1e-3)
            assert float(row["low"]) == pytest.approx(-100 * float(one["drop_high"]), abs=1e-3)
            is_sure = float(one["drop_low"]) > 0 or float(one["drop_high"]) < 0
            assert row["told"].endswith("*") == is_sure
    assert any(row["told"] for row in rows)


def test_many_splits_are_limited_and_it_says_so(written):
    text = (written / "report/index.html").read_text()
    drawn = (written / "report/figures/overlap.svg").read_text()
    assert sum(f">more-{number}<" in drawn for number in range(6)) < 6
    assert "further splits are in plots/overlap.csv only" in text
    assert "further conditions are in the table only" in text
    rows = read(written / "report/plots/overlap.csv")
    assert len(rows) == 8**2  # all, but the full one, which removed nothing


def test_the_tables_have_every_cell_as_text(written, monkeypatch):
    monkeypatch.chdir(written)
    text = (written / "report/index.html").read_text()
    found = study.load()
    assert "removed from" not in text
    for name in found.conditions:
        assert escape(name) in text
    for row in read(Path("report/plots/matrix.csv")):
        if row["told"]:
            assert row["told"].rstrip("*") in text


def test_signs():
    assert [decimals.signed(x) for x in (0.031, -0.0012, 0.0, -0.0001)] == [
        "+3.1", "−0.1", "0.0", "0.0",
    ]  # fmt: skip
    assert decimals.points(-0.5) == "−50.0"
