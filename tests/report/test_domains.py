"""The report on splits of whole domains: a small study with mixes of two, and one without."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from clipcause.prune.rules import domain as domain_rule
from clipcause.report import colours, figures, tables
from clipcause.report.figures import drawing
from clipcause.report.sections import domains as domains_section
from clipcause.report.sections.elements import ranged
from tests import report_study
from tests.report_study import CLASSES, RUNS, SPLITS, write_study

ROOT = Path(__file__).parents[2]
SLOTS = {"rule": "domain", "base": "dedup", "of": "none", "with": "none", "domain": "style"}
MIXES = {
    "only": {"keep": "glyphs"},
    "even": {"mix": {"glyphs": 1, "renditions": 1}, "size": 20, "seed": 0},
    "mostly": {"mix": {"glyphs": 3, "renditions": 1}, "size": 20, "seed": 0},
    "blurred": {"drop": "renditions"},
}
NAMES = ("glyphs", "renditions", "ambiguous")
SHARE = {"value": 0.9, "low": 0.8, "high": 0.95}
STATED = {"precision": SHARE, "recall": SHARE, "right": 18, "wrong": 2, "rows": 20, "others": 25}


def answers(labels):
    """Cats are glyphs, keys are renditions, suns neither."""
    return np.array([CLASSES.index(label) for label in labels], np.int8)


def chosen(entry, base, labels):
    """What the rule keeps, as a stand-in for the stage."""
    answer_N = answers(labels)
    base_N = np.isin(np.arange(len(answer_N)), np.asarray(base))
    if "mix" in entry:
        ratio = dict(enumerate(entry["mix"].values()))
        kept_N = domain_rule.mix(base_N, answer_N, ratio, entry["size"], entry["seed"], NAMES)
    else:
        kept_N = domain_rule.keep(base_N, answer_N, {0} if "keep" in entry else {0, 2})
    return np.flatnonzero(kept_N)


def facts(entry, base, labels):
    """What the split's card has beside."""
    base_N = np.isin(np.arange(len(labels)), np.asarray(base))
    kept_N = np.isin(np.arange(len(labels)), chosen(entry, base, labels))
    count = {
        moment: domain_rule.counts(of_N, answers(labels), NAMES)
        for moment, of_N in (("before", base_N), ("after", kept_N))
    }
    return {
        "parameters": entry,
        "domains": {**count, "stated": dict.fromkeys(NAMES[:2], STATED)},
        "classifier": {"names": list(NAMES), "thresholds": {"first": 1.5, "second": -0.25},
                       "classifier": "c" * 64},
    }  # fmt: skip


def write_domains():
    """A study with four splits of whole domains, all but the last with a run."""
    mixes = {name: {**SLOTS, **rule} for name, rule in MIXES.items()}
    learnt = {f"{name}-0": {"split": name, "objective": "clip", "seed": 0} for name in MIXES}
    learnt.pop("blurred-0")
    write_study(splits={**SPLITS, **mixes}, runs={**RUNS, **learnt}, chosen=chosen, facts=facts)
    parameters = yaml.safe_load(Path("params.yaml").read_text())
    entry = {"first": "glyphs", "second": "renditions", "precision": 0.9}
    parameters["domains"] = {"style": {**entry, "regularisation": [0.1]}}
    Path("params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("domains"))
        write_domains()
        return report_study.collected()


def test_a_row_for_every_condition_and_test_set(content):
    rows = content.rows("domains")
    share = {row["split"]: row["share"] for row in rows}
    assert share == {"only": 0.0, "even": 50.0, "mostly": 25.0}
    assert len(rows) == 3 * len(content.study.tests)
    by_name = {line.condition.name: line for line in content.lines}
    colour = colours.colours(content.study)
    for row in rows:
        cell = by_name[row["split"]].cells[row["test"]]
        assert row["top1"] == pytest.approx(100 * cell.top1.value, abs=1e-4)
        assert row["low"] <= row["top1"] <= row["high"]
        assert row["colour"] == colour[row["split"]]
        assert row["ambiguous"] == 0
    assert list(rows[0]) == [*tables.load()["domains"].columns, "colour"]


def test_the_section_says_what_was_kept_and_how_sure_that_is(content):
    shown = domains_section.view(content)
    assert shown is not None
    (even,) = [row for row in shown["kept"] if row.head.text == "even"]
    assert even.cells[1].startswith("glyphs 10 of ")
    first, second = shown["sure"]
    assert (first.cells[:2], second.cells[:2]) == (["glyphs", "> 1.50"], ["renditions", "< -0.25"])
    assert first.cells[2] == ranged("90.0", "80.0", "95.0")
    assert [one.title for one in shown["panels"]] == list(content.study.tests)
    for one in shown["panels"]:
        label = f'aria-label="Top-1 accuracy on {one.title} by the mix of domains'
        assert label in one.drawing


def test_the_figure_names_the_second_domain(content):
    spec = figures.load()["domains"].files(content)["domains"]
    assert "share of renditions / %" in drawing.svg(spec)


def test_a_study_without_such_splits_has_no_section(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study()
    found = report_study.collected()
    assert domains_section.view(found) is None
    assert figures.load()["domains"].files(found) == {}
    assert found.rows("domains") == []
