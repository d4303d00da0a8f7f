"""The figures: every one is found, draws its own table, and says what it shows."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import altair as alt
import pytest

from clipcause.report import dvc_plots, figures, tables
from clipcause.report.figures import drawing, grid, lines
from clipcause.report.figures.encodings import ticks
from clipcause.report.figures.figure import Drawn, Figure, drawn, only
from clipcause.report.tables import table
from tests import report_imbalance, report_study

FOLDER = Path(figures.__file__).parent
ALL = figures.load()
HELPERS = {"__init__", "drawing", "encodings", "figure", "lines"}


@pytest.fixture(scope="module", params=[report_study.write_study, report_imbalance.write])
def content(request, tmp_path_factory):
    """Two studies: of hulls, and of a long tail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("figures"))
        request.param()
        return report_study.collected()


def fields(spec: Any) -> set[str]:
    """All columns that a specification names, but those that it computes."""
    found, made = set[str](), set[str]()

    def walk(node: Any) -> None:
        if isinstance(node, list):
            for one in node:
                walk(one)
        elif isinstance(node, dict):
            found.update(value for key, value in node.items() if key == "field")
            made.update(value for key, value in node.items() if key == "as")
            for one in node.values():
                walk(one)

    walk({key: value for key, value in spec.items() if key != "data"})
    return {name for name in found - made if isinstance(name, str)}


def test_a_figure_is_a_file_that_nothing_lists():
    assert ALL.keys() == {path.stem for path in FOLDER.glob("*.py")} - HELPERS
    assert all(name == one.name for name, one in ALL.items())


def test_every_figure_draws_columns_of_its_table(content):
    for name, one in ALL.items():
        stored = tables.load()[name]
        known = {*stored.columns, *stored.looks, "rev", "role"}
        assert set(one.axes) <= known, name
        assert fields(json.loads(dvc_plots.template(one))) <= known, name
        assert {one.column, one.row} <= known | {None}, name


def test_panels_and_files_have_all_rows_that_are_drawn(content):
    for name, one in ALL.items():
        rows, panels, files = one.chosen(content), one.panels(content), one.files(content)
        shown = [row for panel in panels for row in panel.spec["data"]["values"]]
        assert len(shown) == len(rows), name
        assert all(panel.label for panel in panels)
        for panel in panels:
            assert only(panel.spec["data"]["values"], **panel.of) == panel.spec["data"]["values"]
        if one.file is None or not rows:
            assert files == {}
            continue
        assert name in files
        filed = [
            row
            for spec in files.values()
            for part in spec.get("concat", [spec])
            for row in part["data"]["values"]
        ]
        assert len(filed) == len(only(rows, **one.filed)), name
        assert all(spec["title"]["text"] for spec in files.values())


def test_a_legend_has_the_names_and_colours_of_the_table(content):
    (spec,) = ALL["binned"].files(content).values()
    (line, _) = spec["spec"]["layer"]
    colour = {row["split"]: row["colour"] for row in lines.of(content, "binned")}
    named = [name for name in lines.own(content.study) if name in colour]
    assert named
    stroke = line["encoding"]["stroke"]
    assert stroke["scale"]["domain"] == stroke["scale"]["range"]
    assert stroke["scale"]["range"] == list(dict.fromkeys(colour[name] for name in named))
    said = json.loads(stroke["legend"]["labelExpr"].removesuffix("[datum.value]"))
    assert all(name in said[colour[name]].split(", ") for name in named)
    # the page has a key of its own
    for panel in ALL["binned"].panels(content):
        assert panel.spec["layer"][0]["encoding"]["stroke"]["legend"] is None


def test_drawings_for_the_page_have_a_label_and_no_ids(content):
    for panel in (ALL[name].panels(content)[0] for name in ("accuracy", "matrix", "similarity")
                  if ALL[name].panels(content)):  # fmt: skip
        text = drawing.inline(panel)
        assert text.startswith("<svg viewBox=")
        assert f'aria-label="{panel.label}"' in text
        assert "url(#" not in text
        assert " id=" not in text


def test_the_same_specification_gives_the_same_files(content, tmp_path):
    for again in ("first", "second"):
        (tmp_path / again).mkdir()
        drawing.write(ALL["accuracy"].files(content), tmp_path / again)
    for name in ("accuracy.svg", "accuracy.png"):
        assert (tmp_path / f"first/{name}").read_bytes() == (
            tmp_path / f"second/{name}"
        ).read_bytes()
    assert (tmp_path / "first/accuracy.svg").read_text().startswith("<svg")
    assert (tmp_path / "first/accuracy.png").read_bytes()[:4] == b"\x89PNG"


def test_templates_draw_texts_as_dvc_gives_them(content):
    for name, one in ALL.items():
        stored = tables.load()[name]
        text = table.to_csv([*stored.columns, *stored.looks], content.rows(name))
        rows = list(csv.DictReader(io.StringIO(text)))[:40]
        if not rows:
            continue
        data = [{**row, "rev": rev} for rev in ("main", "workspace") for row in rows]
        template = dvc_plots.template(one)
        spec = json.loads(template.replace('"<DVC_METRIC_DATA>"', json.dumps(data)))
        made = drawing.svg(spec)
        assert "NaN" not in made, name
        # in the legend, or above every panel of a revision
        apart = one.row if one.column == "rev" and one.row else "rev"
        panels = {row[apart] for row in rows} if apart in rows[0] else {""}
        assert len(re.findall("[> ]workspace<", made)) == len(panels), name


def test_a_grid_is_of_the_first_the_most_fallen_and_a_supervised_condition(content):
    shown = grid.shown(content)
    assert shown[0] == next(iter(content.study.conditions))
    assert len(set(shown)) == len(shown) <= grid.MOST
    observed = only(content.rows("explained"), kind="observed")
    if observed:
        lost: dict[str, float] = {}
        for row in observed:
            lost[row["split"]] = lost.get(row["split"], 0.0) + row["points"]
        assert min(lost, key=lambda name: lost[name]) in shown


def test_a_figure_of_one_panel_says_what_dvc_draws():
    with pytest.raises(ValueError, match=r'figure x: by=\(\) .* say file="alone" .*column="rev"'):
        Figure("x", "X", ("a", "b"), points, by=())
    Figure("x", "X", ("a", "b"), points, by=(), file="alone", column="rev")


def points(_: Drawn) -> Any:  # what a chart should not be
    return alt.Chart().mark_point().encode(x="a:Q", y="b:Q")


def test_a_chart_that_is_no_layer_is_told():
    with pytest.raises(ValueError, match=r"figure x: its chart is a Chart; return alt\.layer"):
        dvc_plots.template(Figure("x", "X", ("a", "b"), points))


def test_ticks_of_counts_are_as_many_as_fit():
    assert ticks([6, 0, 550]) == [10, 20, 50, 100, 200, 500]
    assert ticks([0.5, 3]) == [1, 2]
    assert ticks([1, 90_000]) == [1, 10, 100, 1000, 10_000]
    assert ticks([]) == [1]


def test_a_chart_without_data_has_none_of_its_own():
    for one in ALL.values():
        assert isinstance(one, Figure)
        assert drawn(one.chart(Drawn()), [])["data"] == {"values": []}
