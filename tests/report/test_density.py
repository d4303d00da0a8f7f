"""The report on the hull's edge and on duplicates of test images, from numbers made by hand."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipcause.config import layout
from clipcause.report.inputs import Inputs
from clipcause.report.sections import density as density_section
from clipcause.report.tables import copies, density
from clipcause.search import density as artifact
from clipcause.search import scores
from clipcause.stats.statistics import wilson
from tests import report_study
from tests.report.pages import Page
from tests.report_study import BANDS, write_study


def table(name):
    return list(csv.DictReader(Path(f"report/plots/{name}.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("density")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_study()
        report_study.reported()
    return folder


@pytest.fixture
def here(written, tmp_path, monkeypatch):
    shutil.copytree(written, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    return report_study.inputs()


def test_what_a_lower_delta_removes(here):
    edges, sources = density.edges(here), here.study.sources
    for test, edge in edges.items():
        margin = sources.scores[test].pool.margin[sources.splits["dedup"].rows]
        expected = [int((margin > delta).sum()) for delta in (0.0, *(-band for band in BANDS))]
        assert edge.removed == expected
        assert edge.further == [expected[1] - expected[0], expected[2] - expected[0]]
        assert edge.base_rows == len(sources.splits["dedup"])
    # and the first is what hull pruning did
    gone = len(sources.splits["dedup"]) - len(sources.splits["hull-sketch"])
    assert edges["sketch"].removed[0] == gone > 0


def test_shares_with_at_least_so_many(here):
    edges, rows = density.edges(here), density.rows(here)
    for row in rows:
        names = dict(zip(edges[row.test].counts, artifact.columns(BANDS), strict=True))
        count_Q = density.stored(here)[row.test].base[names[row.band]]
        share = (count_Q >= row.least).mean()
        assert row.images == pytest.approx(100 * share, abs=1e-4)
        assert row.images > 0
        assert edges[row.test].counts[row.band].median == np.median(count_Q)
    assert {row.least for row in rows} >= {1, 2, 3}
    assert {row.band for row in rows} == {"above", "within 0.02", "within 0.1"}
    assert table("density")[0]["least"] == "1"


def test_drops_by_what_stays(here):
    rows = density.drops(here)
    assert [row.group for row in rows] == [
        "nothing above", "smaller share under", "larger share under",
    ]  # fmt: skip
    assert {(row.split, row.test) for row in rows} == {("hull-sketch", "sketch")}
    condition = here.study.conditions["hull-sketch"]
    drop_Q = here.study.control_outcome(condition, "sketch")
    drop_Q = drop_Q - here.study.outcomes["hull-sketch", "sketch"].top1_Q
    assert sum(row.images for row in rows) == len(drop_Q)
    total = sum(row.images * (row.drop or 0.0) for row in rows)
    assert total == pytest.approx(100 * drop_Q.sum(), abs=0.1)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"delta": 0.1}, "delta 0.1"),
        ({"delta": -0.1}, "delta −0.1"),
        ({"scores": "broad"}, "scores “broad”"),
        ({"base": "full"}, "base full"),
    ],
)
def test_a_split_at_other_edges_is_left_out_and_named(here, changed, why):
    edges, content = density.edges(here), report_study.collected()
    assert density.left_out(here.study, edges) == {}
    rule = here.study.rules["hull-sketch"].model_copy(update=changed)
    rules = {**here.study.rules, "hull-sketch": rule}
    other = Inputs(replace(here.study, rules=rules), here.parameters)
    assert density.drops(other) == []
    assert density.left_out(other.study, edges) == {"hull-sketch": rule}
    outline = replace(content.study, rules=rules)
    tables = {**content.tables, "density_drops": []}
    shown = density_section.view(replace(content, study=outline, tables=tables))
    assert shown is not None
    assert (shown["drops"], shown["apart"]) == ([], f"hull-sketch ({why})")


def test_the_page_has_it(written):
    page = Page((written / "report/index.html").read_text())
    assert {"density", "copied", "matrix"} <= set(page.ids)
    text = (written / "report/index.html").read_text()
    assert "delta −0.02" in text
    assert (written / "report/figures/density.svg").exists()


def test_a_study_without_the_stage_has_no_section(here):
    shutil.rmtree("density")
    report_study.reported()
    page = Page(Path("report/index.html").read_text())
    assert "density" not in page.ids
    assert table("density") == []


def test_one_that_is_missing_or_of_other_data_is_named(here):
    folder = layout.density("clip", "reference", "sketch")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"pool": "f" * 64}))
    with pytest.raises(ValueError, match="made with another pool than similarity/clip/reference"):
        density.edges(here)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="`dvc repro density@sketch` makes it"):
        density.edges(here)


def test_shares_of_duplicates(here):
    def of(threshold):
        parameters = here.parameters.model_copy(update={"copy_threshold": threshold})
        return copies.rows(Inputs(here.study, parameters))

    for threshold in (0.9, 0.97, 1.0):
        rows = of(threshold)
        assert [row.data for row in rows if row.test == "val"] == [
            "reference", "pool", "full", "hull-sketch", "random-hull-sketch",
        ]  # fmt: skip
        for row in rows:
            of_test = scores.read(layout.similarity("clip", "reference", row.test)).test
            nearest = {"reference": of_test.reference_sim, "pool": of_test.pool_sim}
            if row.data in nearest:
                assert row.images == (nearest[row.data] >= threshold).sum()
            low, high = wilson(row.images, row.n_test)
            assert (row.low, row.high) == (round(low, 6), round(high, 6))
            assert row.share == round(row.images / row.n_test, 6)
    # what hull pruning left is never nearer than the reference
    by = {(row.data, row.test): row.images for row in of(0.97)}
    assert by["hull-sketch", "sketch"] <= by["reference", "sketch"]
    assert np.isclose(float(table("copies")[0]["n_test"]), 30)
