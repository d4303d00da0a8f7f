"""The report on the hull's edge and on duplicates of test images, from numbers made by hand."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipcause.config import layout, section
from clipcause.config.report import Report
from clipcause.report import study
from clipcause.report.sections import density as density_section
from clipcause.report.tables import copies, density
from clipcause.search import density as artifact
from clipcause.search import scores
from clipcause.stats.statistics import wilson
from stages.report import collect, main
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
        main()
    return folder


@pytest.fixture
def here(written, tmp_path, monkeypatch):
    shutil.copytree(written, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    return study.load()


def test_what_a_lower_delta_removes(here):
    edges = density.load(here)
    for test, edge in edges.items():
        margin = here.scores[test].pool.margin[here.splits["dedup"].rows]
        expected = [int((margin > delta).sum()) for delta in (0.0, *(-band for band in BANDS))]
        assert list(edge.removed) == expected
        assert edge.further == (expected[1] - expected[0], expected[2] - expected[0])
        assert edge.base_rows == len(here.splits["dedup"])
    # and the first is what hull pruning did
    gone = len(here.splits["dedup"]) - len(here.splits["hull-sketch"])
    assert edges["sketch"].removed[0] == gone > 0


def test_shares_with_at_least_so_many(here):
    edges = density.load(here)
    rows = density.rows(edges)
    for row in rows:
        edge = edges[row["test"]]
        name = dict(zip(edge.names, artifact.columns(BANDS), strict=True))[row["band"]]
        share = (edge.density.base[name] >= row["least"]).mean()
        assert row["images"] == pytest.approx(100 * share, abs=1e-4)
        assert row["images"] > 0
    assert {row["least"] for row in rows} >= {1, 2, 3}
    assert {row["band"] for row in rows} == {"above", "within 0.02", "within 0.1"}
    assert table("density")[0]["least"] == "1"


def test_drops_by_what_stays(here):
    edges, parameters = density.load(here), section("report", Report)
    rows = density.drops(here, edges, parameters)
    assert [row["group"] for row in rows] == [
        "nothing above", "smaller share under", "larger share under",
    ]  # fmt: skip
    assert {(row["split"], row["test"]) for row in rows} == {("hull-sketch", "sketch")}
    condition = here.conditions["hull-sketch"]
    drop_Q = here.twin_outcome(condition, "sketch")
    drop_Q = drop_Q - here.outcomes["hull-sketch", "sketch"].top1_Q
    assert sum(row["images"] for row in rows) == len(drop_Q)
    total = sum(row["images"] * (row["drop"] or 0.0) for row in rows)
    assert total == pytest.approx(100 * drop_Q.sum(), abs=0.1)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"delta": 0.1}, "delta 0.1"),
        ({"delta": -0.1}, "delta −0.1"),
        ({"scores": "broad"}, "yardstick broad"),
        ({"base": "full"}, "base full"),
    ],
)
def test_a_split_at_other_edges_is_left_out_and_named(here, changed, why):
    edges, parameters = density.load(here), section("report", Report)
    assert density.left_out(here, edges) == {}
    rule = here.rules["hull-sketch"].model_copy(update=changed)
    other = replace(here, rules={**here.rules, "hull-sketch": rule})
    assert density.drops(other, edges, parameters) == []
    assert density.left_out(other, edges) == {"hull-sketch": why}
    shown = density_section.view(replace(collect(parameters), study=other))
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
    main()
    page = Page(Path("report/index.html").read_text())
    assert "density" not in page.ids
    assert table("density") == []


def test_one_that_is_missing_or_of_other_data_is_named(here):
    folder = layout.density("clip", "reference", "sketch")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"pool": "f" * 64}))
    with pytest.raises(ValueError, match="made with another pool than similarity/clip/reference"):
        density.load(here)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="`dvc repro density@sketch` makes it"):
        density.load(here)


def test_shares_of_duplicates(here):
    for threshold in (0.9, 0.97, 1.0):
        rows = copies.rows(here, threshold)
        assert [row["data"] for row in rows if row["test"] == "val"] == [
            "reference", "pool", "full", "hull-sketch", "random-hull-sketch",
        ]  # fmt: skip
        for row in rows:
            of_test = scores.read(layout.similarity("clip", "reference", row["test"])).test
            nearest = {"reference": of_test.reference_sim, "pool": of_test.pool_sim}
            if row["data"] in nearest:
                assert row["images"] == (nearest[row["data"]] >= threshold).sum()
            low, high = wilson(row["images"], row["n_test"])
            assert (row["low"], row["high"]) == (round(low, 6), round(high, 6))
            assert row["share"] == round(row["images"] / row["n_test"], 6)
    # what hull pruning left is never nearer than the reference
    by = {(row["data"], row["test"]): row["images"] for row in copies.rows(here, 0.97)}
    assert by["hull-sketch", "sketch"] <= by["reference", "sketch"]
    assert np.isclose(float(table("copies")[0]["n_test"]), 30)
