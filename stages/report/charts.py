"""The report's plots: their data in long form, their Vega-Lite specifications, and how to draw them.

Every plot exists three times from one definition: as small panels on the page, as a figure of all
panels, and as a template for `dvc plots`. A split has the same colour everywhere; the random split
of its size has it too, hollow or dashed.
"""

import copy
import csv
import io
import json
import re
from html import escape
from typing import Any

import vl_convert

from stages.parameters.report import Report
from stages.report.statistics import Bins, bin_index, binned_accuracy, histogram
from stages.report.study import Condition, Study
from stages.report.table import Line

Rows = list[dict[str, Any]]
Spec = dict[str, Any]

# told apart by most colour-blind readers, and legible on white and on black
PALETTE = (
    "#3b82d0", "#d9622b", "#2f9e77", "#b65fc0", "#c79a00",
    "#d6478c", "#159fb5", "#8a6d4b", "#7a8f1f", "#6f6ad6",
)  # fmt: skip
GREY = "#8a8a8a"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
RANDOM = "random"
PNG_SCALE = 2.0


def colours(study: Study) -> dict[str, str]:
    """The colour of every split and condition."""
    own = [name for name in study.splits if name in study.rules and name not in study.twins]
    found = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(own)}
    found |= {name: found.get(of, GREY) for name, of in study.twins.items()}
    return found | {name: found.get(one.split, GREY) for name, one in study.conditions.items()}


def accuracy_rows(study: Study, lines: list[Line]) -> Rows:
    """Top-1 in % with its Wilson interval per test set and condition."""
    colour = colours(study)
    rows = []
    for line in lines:
        one = line.condition
        for test, cell in line.cells.items():
            low, high = 100 * cell.top1.low, 100 * cell.top1.high
            rows.append(
                {
                    "test": test,
                    "split": one.name,
                    "beside": beside(study, one),
                    "kind": _kind(study, one),
                    "top1": _round(100 * cell.top1.value),
                    "low": _round(low),
                    "high": _round(high),
                    "colour": colour[one.name],
                }
            )
    return rows


def beside(study: Study, condition: Condition) -> str:
    """The condition whose line in the plot a condition shares: a random split's is its twin's."""
    for name, one in study.conditions.items():
        if condition.name in one.twins:
            return name
    return condition.name


def similarity_rows(study: Study, width: float) -> Rows:
    """Per test set, the share of its images in % in every bin of nearest similarity to the
    reference, to the pool, and to every split with the reference added."""
    colour = colours(study)
    rows = []
    for test, found in study.scores.items():
        series = {"reference": found.test.reference_sim, "pool": found.test.pool_sim}
        series |= {name: study.gaps[name, test].similarity_Q for name in study.rules}
        bins = [bin_index(values, width) for values in series.values()]
        first = min(int(one.min()) for one in bins)
        last = max(int(one.max()) for one in bins)
        for name, values in series.items():
            for index, share in enumerate(histogram(values, width, first, last), first):
                rows.append(
                    {
                        "test": test,
                        "data": name,
                        "similarity": _round((index + 0.5) * width),
                        "share": _round(100 * share),
                        "colour": colour.get(name, GREY),
                    }
                )  # fmt: skip
    return rows


def all_bins(study: Study, parameters: Report) -> dict[tuple[str, str], Bins]:
    """Accuracy by similarity, by condition and test set."""
    return {
        (name, test): binned_accuracy(
            study.similarity(one, test),
            study.outcomes[name, test].top1_Q,
            width=parameters.bin_width,
            least=parameters.least_per_bin,
        )
        for name, one in study.conditions.items()
        for test in study.tests
    }


def bin_rows(study: Study, bins: dict[tuple[str, str], Bins]) -> Rows:
    """Accuracy in % per bin of similarity to the training data, by test set and condition."""
    colour = colours(study)
    return [
        {
            "test": test,
            "split": name,
            "kind": _kind(study, study.conditions[name]),
            "similarity": _round(similarity),
            "accuracy": _round(100 * accuracy),
            "images": int(count),
            "colour": colour[name],
        }
        for (name, test), found in bins.items()
        for similarity, accuracy, count in zip(
            found.similarity_B, found.accuracy_B, found.count_B, strict=True
        )
    ]


def accuracy_panel(order: list[str]) -> Spec:
    """Points with intervals, a line of the plot per split; hollow: the random split of its size."""
    y = {"field": "beside", "type": "nominal", "sort": order, "title": None}
    lane = {"field": "kind", "type": "nominal", "sort": ["split", RANDOM]}
    x = {"field": "top1", "type": "quantitative", "title": "top-1 accuracy / %"}
    shared = {
        "y": y,
        "yOffset": lane,
        "stroke": _plain("colour"),
        "x": {**x, "scale": {"zero": False, "nice": True}},
    }
    interval = {**shared, "x": {**shared["x"], "field": "low"}, "x2": {"field": "high"}}
    hollow = {"condition": {"test": f"datum.kind == '{RANDOM}'", "value": 0}, "value": 1}
    return {
        "height": {"step": 15},
        "width": 210,
        "layer": [
            {
                "transform": [{"filter": "datum.kind == 'supervised'"}],
                "mark": {"type": "rule", "strokeDash": [3, 3], "stroke": GREY},
                "encoding": {"x": shared["x"]},
            },
            {"mark": {"type": "rule", "strokeWidth": 1.5}, "encoding": interval},
            {
                "mark": {"type": "point", "size": 50, "strokeWidth": 1.5},
                "encoding": {**shared, "fill": _plain("colour"), "fillOpacity": hollow},
            },
        ],
    }


def similarity_panel() -> Spec:
    """Histograms over one another: bars for a split, lines for what it is compared with."""
    x = {
        "field": "similarity",
        "type": "quantitative",
        "title": "nearest cosine similarity",
        "scale": {"zero": False, "nice": False},
        "axis": {"tickCount": 5},
    }
    y = {"field": "share", "type": "quantitative", "title": "test images / %", "stack": None}
    dash = {
        "field": "role",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["reference", "pool", RANDOM], "range": [[2, 2], [1, 0], [5, 2]]},
    }
    line = {"type": "line", "interpolate": "step", "strokeWidth": 1.5}
    filled = {"type": "area", "interpolate": "step", "opacity": 0.55}
    return {
        "width": 210,
        "height": 110,
        "layer": [
            {
                "transform": [{"filter": "datum.role == 'split'"}],
                "mark": filled,
                "encoding": {"x": x, "y": y, "fill": _plain("colour")},
            },
            {
                "transform": [{"filter": "datum.role != 'split'"}],
                "mark": line,
                "encoding": {"x": x, "y": y, "strokeDash": dash, "stroke": _plain("colour")},
            },
        ],
    }


def bins_panel() -> Spec:
    """Accuracy against similarity, a line per condition."""
    x = {
        "field": "similarity",
        "type": "quantitative",
        "title": "nearest cosine similarity to the training data",
        "scale": {"zero": False},
        "axis": {"tickCount": 5},
    }
    y = {
        "field": "accuracy",
        "type": "quantitative",
        "title": "top-1 accuracy / %",
        "scale": {"domain": [0, 100]},
    }
    detail = {"field": "split", "type": "nominal"}
    dash = {
        "field": "kind",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": ["split", RANDOM, "supervised"], "range": [[1, 0], [5, 2], [2, 2]]},
    }
    shared = {"x": x, "y": y, "detail": detail, "stroke": _plain("colour")}
    return {
        "width": 250,
        "height": 180,
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.5}, "encoding": {**shared, "strokeDash": dash}},
            {
                "mark": {"type": "point", "size": 14, "opacity": 1, "filled": True},
                "encoding": {
                    "x": x, "y": y, "fill": _plain("colour"),
                },
            },
        ],
    }  # fmt: skip


def figure(panel: Spec, rows: Rows, order: list[str], title: str, subtitle: str) -> Spec:
    """All panels of a plot, one per test set, as one specification with its data."""
    facet = {"field": "test", "type": "nominal", "sort": order, "title": None}
    return {
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
        "data": {"values": rows},
        "facet": facet,
        "columns": 3,
        "spec": panel,
        "resolve": {"scale": {"x": "independent"}},
    }


def figures(study: Study, accuracy: Rows, binned: Rows) -> dict[str, Spec]:
    """The figures that are files, by name."""
    tests = list(study.tests)
    order = [name for name, one in study.conditions.items() if beside(study, one) == name]
    return {
        "accuracy": figure(
            accuracy_panel(order),
            accuracy,
            tests,
            "Top-1 accuracy by training data",
            "Filled: the split. Hollow: a random split of the same size. Dashed: supervised on the "
            "reference. Bars: 95 % intervals over test images.",
        ),
        "binned": figure(
            bins_panel(),
            binned,
            tests,
            "Accuracy by similarity to the training data",
            "A line per split in its colour; dashed: random split of its size; dotted: supervised.",
        ),
    }


def svg(spec: Spec, *, background: str | None = None) -> str:
    """Draw a specification. The same one gives the same text."""
    return vl_convert.vegalite_to_svg(_complete(spec, background))


def png(spec: Spec) -> bytes:
    """Draw a specification as PNG on white."""
    return vl_convert.vegalite_to_png(_complete(spec, "white"), scale=PNG_SCALE)


def inline(spec: Spec, rows: Rows, label: str) -> str:
    """A panel for the page: an SVG that scales with its column and says what it shows."""
    text = svg({**spec, "data": {"values": rows}})
    opened = re.search(r"<svg[^>]*>", text)
    box = re.search(r'viewBox="([^"]*)"', text)
    if opened is None or box is None:
        raise RuntimeError("the drawing has no viewBox")
    if "url(#" in text:
        raise RuntimeError("the drawing refers to an id, which would not be its own on the page")
    width = box[1].split()[2]
    start = (
        f'<svg viewBox="{box[1]}" style="max-width:{width}px" role="img" '
        f'aria-label="{escape(label)}">'
    )
    return start + text[opened.end() :].strip()


def template(panel: Spec, down: str | None) -> str:
    """A template for `dvc plots`: a column per test set, and a row per value of ``down``.

    Revisions that are compared differ in opacity. DVC puts data in place of its anchor.
    """
    panel = copy.deepcopy(panel)
    for layer in panel["layer"]:
        layer["encoding"]["opacity"] = {"field": "rev", "type": "nominal", "title": "revision"}
        layer["mark"]["tooltip"] = {"content": "data"}
    facet = {"column": {"field": "test", "type": "nominal", "title": None}}
    if down:
        facet["row"] = {"field": down, "type": "nominal", "title": None}
    spec = {"$schema": SCHEMA, "data": {"values": "<DVC_METRIC_DATA>"}, "facet": facet}
    spec |= {"spec": panel, "resolve": {"scale": {"x": "independent"}}}
    return json.dumps(spec, indent=1) + "\n"


def to_csv(rows: Rows) -> str:
    """Rows as CSV; the first row names the columns."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _kind(study: Study, condition: Condition) -> str:
    if condition.is_supervised:
        return "supervised"
    return RANDOM if condition.split in study.twins else "split"


def _plain(field: str) -> Spec:
    """Colours that are in the data."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def _round(value: float) -> float:
    return round(float(value), 4) + 0.0


def _complete(spec: Spec, background: str | None) -> Spec:
    quiet = "#88888840"
    config = {
        "background": background,
        "font": "Liberation Sans, Arial, Helvetica, sans-serif",
        "aria": False,
        "view": {"stroke": None},
        "axis": {"gridColor": quiet, "domain": False, "tickColor": quiet, "titleFontWeight": 400},
        "header": {"labelFontSize": 13, "labelFontWeight": 700},
        "title": {"fontSize": 15, "subtitleFontSize": 12, "offset": 14},
    }
    return {"$schema": SCHEMA, "config": config, **spec}
