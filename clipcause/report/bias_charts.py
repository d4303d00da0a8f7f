"""The plots of class frequency and bias: their Vega-Lite specifications.

As in `charts`, one definition makes the panels of the page, the figures and the templates for
`dvc plots`. Colours come with the data.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
Looks = Mapping[str, tuple[str, str]]  # name to colour and shape

RANK = "class, by falling count"
COUNT = "rows (logarithmic)"
MOST_TICKS = 8  # of a logarithmic axis; more have no room for their labels
TAILS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def plain(field: str) -> Spec:
    """Colours that are in the data."""
    return {"field": field, "type": "nominal", "scale": None, "legend": None}


def legend(field: str, looks: Looks | None, columns: int = 1) -> Spec:
    """The colours of named series with a legend; without names, those in the data."""
    if not looks:
        return plain("colour")
    domain = list(looks)
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": domain, "range": [looks[name][0] for name in domain]},
        "legend": {
            "title": None,
            "orient": "bottom",
            "columns": columns,
            "labelLimit": 420,
            "symbolType": "stroke",
            "symbolStrokeWidth": 3,
            "symbolOpacity": 1,
        },
    }


def by_colour(named: Mapping[str, str] | None) -> Spec:
    """Colours that are in the data; ``named``, colours to names, have a legend."""
    if not named:
        return plain("colour")
    legend = {
        "title": None,
        "orient": "bottom",
        "columns": 6,
        "labelExpr": f"{json.dumps(named)}[datum.value]",
        "symbolType": "stroke",
        "symbolStrokeWidth": 3,
        "symbolOpacity": 1,
    }
    scale = {"domain": list(named), "range": list(named)}
    return plain("colour") | {"scale": scale, "legend": legend}


def ticks(values: Iterable[int | float]) -> list[int]:
    """Ticks of a logarithmic axis between the least and the greatest of counts: 1, 2, 5, 10 …,
    where they fit, or 1, 10, 100 …"""
    positive = [value for value in values if value > 0]
    least, greatest = min(positive, default=1), max(positive, default=1)
    found = [step * 10**power for power in range(10) for step in (1, 2, 5)]
    found = [tick for tick in found if least <= tick <= greatest]
    return found if len(found) <= MOST_TICKS else [one for one in found if str(one)[0] == "1"]


def frequency_panel(looks: Looks | None = None, width: int = 260) -> Spec:
    """Count by rank, a line per corpus; dashed is what the others of a panel were made from."""
    return {
        "width": width,
        "height": 190,
        "transform": [{"filter": "datum.count > 0"}],
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.75},
                "encoding": {
                    "x": {
                        "field": "rank",
                        "type": "quantitative",
                        "title": RANK,
                        "scale": {"zero": True, "nice": False},
                        "axis": {"tickCount": 5},
                    },
                    "y": {
                        "field": "count",
                        "type": "quantitative",
                        "title": COUNT,
                        "scale": {"type": "log"},
                        "axis": _powers(),
                    },
                    "stroke": legend("corpus", looks, 1 if len(looks or ()) < 8 else 3),
                    "strokeDash": _dash("role", {"corpus": [1, 0], "base": [4, 3]}),
                    "detail": {"field": "corpus", "type": "nominal"},
                },
            }
        ],
    }


def sources_panel(order: list[str]) -> Spec:
    """Spearman's coefficients of every pair, as numbers on squares; darker is higher."""
    side: Spec = {"type": "nominal", "sort": order, "title": None}
    named = {"labelLimit": 300, "ticks": False}
    across = {**side, "field": "second", "axis": {**named, "orient": "top", "labelAngle": -35}}
    down = {**side, "field": "first", "axis": named}
    value = {"field": "spearman", "type": "quantitative"}
    strength = {
        **value,
        "scale": {"domain": [-1, 0, 1], "range": ["#d9622b", "#ececec", "#3b82d0"]},
        "legend": None,
    }
    return {
        "width": {"step": 46},
        "height": {"step": 30},
        "layer": [
            {"mark": {"type": "rect"}, "encoding": {"x": across, "y": down, "fill": strength}},
            {
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {
                    "x": across,
                    "y": down,
                    "text": {**value, "format": ".2f"},
                    "fill": {"value": "#111111"},
                },
            },
        ],
    }


def bias_panel(looks: Looks | None = None) -> Spec:
    """corr_acc against one other number, a point per condition with its place in the table.

    Shares of a set and sets without their tail, which have plots of their own, are small here.
    """
    x = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"zero": False, "nice": True},
        "axis": {"tickCount": 5},
    }
    y = {
        "field": "corr_acc",
        "type": "quantitative",
        "title": "corr_acc (Spearman, 0 is unbiased)",
        "scale": {"zero": False},
    }
    shape: Spec = plain("shape")
    fill = legend("kind", looks, 3)
    if looks:
        shape = {
            "field": "kind",
            "type": "nominal",
            "scale": {"domain": list(looks), "range": [one[1] for one in looks.values()]},
            "legend": fill["legend"] | {"symbolType": "circle"},
        }
        fill["legend"] = shape["legend"]
    whole = [{"filter": "datum.part == 'whole'"}]
    small = {"condition": {"test": "datum.part == 'whole'", "value": 70}, "value": 22}
    faint = {"condition": {"test": "datum.part == 'whole'", "value": 0.95}, "value": 0.45}
    return {
        "width": 320,
        "height": 280,
        "layer": [
            {
                "transform": whole,
                "mark": {"type": "rule", "strokeWidth": 1, "strokeOpacity": 0.3},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "stroke": plain("colour"),
                },
            },
            {
                "mark": {"type": "point", "filled": True},
                "encoding": {
                    "x": x,
                    "y": y,
                    "fill": fill,
                    "shape": shape,
                    "size": small,
                    "fillOpacity": faint,
                },
            },
            {
                "transform": whole,
                "mark": {"type": "text", "dx": 6, "dy": -6, "align": "left", "fontSize": 9},
                "encoding": {
                    "x": x,
                    "y": y,
                    "text": {"field": "number", "type": "quantitative"},
                    "fill": plain("colour"),
                },
            },
        ],
    }


def scale_panel(looks: Looks | None = None) -> Spec:
    """One measure against the rows of training, a line per kind of model."""
    x = _logarithmic("rows", "training rows (logarithmic)", {"tickCount": 4, "format": "~s"})
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"zero": False, "nice": True},
    }
    return _lines(x, y, looks, ["kind", "base"])


def tail_panel(looks: Looks | None = None, ticks: Sequence[int] = TAILS) -> Spec:
    """Accuracy of the trimmed classes (full) and of the rest (dashed) against their number."""
    x = _logarithmic(
        "tail", "rarest classes that were trimmed", {"format": "d", "values": list(ticks)}
    )
    y = {
        "field": "value",
        "type": "quantitative",
        "title": "accuracy of classes / %",
        "scale": {"zero": True},
    }
    dash = _dash("group", {"trimmed": [1, 0], "rest": [3, 3]})
    return _lines(x, y, looks, ["kind", "base", "group"], dash)


def probe_panel(looks: Looks | None = None, ticks: Sequence[int] = TAILS) -> Spec:
    """Accuracy of probes against the samples of a class, a line per kind of model."""
    x = _logarithmic(
        "shots", "samples of a class (logarithmic)", {"format": "d", "values": list(ticks)}
    )
    y = {
        "field": "value",
        "type": "quantitative",
        "title": "top-1 accuracy / %",
        "scale": {"zero": False, "nice": True},
    }
    return _lines(x, y, looks, ["kind", "probe"])


def class_panel(of: str = "training rows of the class", shown: Sequence[int] | None = None) -> Spec:
    """Accuracy of every class against its frequency, and the mean of each tenth of them."""
    x = {
        "field": "shown",
        "type": "quantitative",
        "title": f"{of} (logarithmic)",
        "scale": {"type": "log", "nice": False, "padding": 6},
        "axis": _powers() if shown is None else {"values": list(shown), "format": "~s"},
    }
    y = {
        "field": "accuracy",
        "type": "quantitative",
        "title": "accuracy of the class / %",
        "scale": {"domain": [0, 100], "padding": 4},
        "axis": {"tickCount": 5},
    }
    dot = {"type": "point", "filled": True, "size": 16, "opacity": 0.28}
    return {
        "width": 250,
        "height": 170,
        "layer": [
            {
                "transform": [{"filter": "datum.role == 'class'"}],
                "mark": dot,
                "encoding": {"x": x, "y": y, "fill": plain("colour")},
            },
            {
                "transform": [{"filter": "datum.role == 'mean'"}],
                "mark": {"type": "line", "strokeWidth": 2, "point": False},
                "encoding": {
                    "x": x,
                    "y": y,
                    "stroke": plain("colour"),
                    "detail": {"field": "condition", "type": "nominal"},
                },
            },
        ],
    }


def _lines(x: Spec, y: Spec, looks: Looks | None, detail: list[str], dash: Any = None) -> Spec:
    """Lines with points, and the spread over seeds as a rule."""
    split = [{"field": name, "type": "nominal"} for name in detail]
    line: Spec = {"x": x, "y": y, "stroke": legend("kind", looks, 2), "detail": split}
    if dash:
        line["strokeDash"] = dash
    return {
        "width": 250,
        "height": 190,
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.75}, "encoding": line},
            {
                "mark": {"type": "rule", "strokeWidth": 1.25},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "stroke": plain("colour"),
                },
            },
            {
                "mark": {"type": "point", "size": 26, "filled": True, "opacity": 1},
                "encoding": {"x": x, "y": y, "fill": plain("colour")},
            },
        ],
    }


def _logarithmic(field: str, title: str, axis: Spec) -> Spec:
    """An axis of counts, with room at its ends."""
    scale = {"type": "log", "nice": False, "padding": 12}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def _dash(field: str, known: Mapping[str, list[int]]) -> Spec:
    scale = {"domain": list(known), "range": list(known.values())}
    return {"field": field, "type": "nominal", "legend": None, "scale": scale}


def _powers() -> Spec:
    """Ticks of a logarithmic axis at 1, 10, 100 …, which leave room for their labels."""
    return {"values": [10**power for power in range(10)], "format": "~s"}
