"""The plot of the hull's edge: its Vega-Lite specification."""

from collections.abc import Sequence
from typing import Any

from clipcause.report.colours import GREY

__all__ = ["GREY", "looks", "panel"]

Spec = dict[str, Any]

DOTS = [1.5, 3.0]
DASHES = ([1.0, 0.0], [7.0, 3.0], [12.0, 3.0, 3.0, 3.0], [3.0, 3.0])


def looks(names: Sequence[str]) -> dict[str, list[float]]:
    """The dash of every line: the first, above the threshold, is dotted."""
    return {name: DASHES[(at - 1) % len(DASHES)] if at else DOTS for at, name in enumerate(names)}


def panel(names: Sequence[str] = (), *, legend: bool = False) -> Spec:
    """Share of test images with at least so many rows, a line per band. No split has a part in it,
    so lines differ by their dashes."""
    dash: Spec = {"field": "band", "type": "nominal", "sort": None}
    found = looks(names)
    if found:
        dash["scale"] = {"domain": list(found), "range": list(found.values())}
    shown = {"title": None, "orient": "bottom", "symbolSize": 600, "symbolStrokeWidth": 2}
    dash["legend"] = shown if legend or not names else None
    return {
        "width": 230,
        "height": 150,
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.75, "stroke": GREY},
                "encoding": {
                    "x": {
                        "field": "least",
                        "type": "quantitative",
                        "title": "at least so many pool images (logarithmic)",
                        "scale": {"type": "log", "nice": False},
                        "axis": {"values": [1, 10, 100, 1000, 10_000, 100_000], "format": ",d"},
                    },
                    "y": {
                        "field": "images",
                        "type": "quantitative",
                        "title": "test images / %",
                        "scale": {"domain": [0, 100]},
                    },
                    "strokeDash": dash,
                    "detail": {"field": "band", "type": "nominal"},
                },
            }
        ],
    }
