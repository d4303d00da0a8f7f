"""The plot of how alike is what different yardsticks remove."""

from typing import Any

Spec = dict[str, Any]

LABEL = 420  # pixels; a longer label is cut


def panel(order: list[str] | None = None) -> Spec:
    """A point per pair: the Jaccard index; hollow: of random choices of the same sizes."""
    y: Spec = {"field": "pair", "type": "nominal", "sort": order, "title": None}
    y["axis"] = {"labelLimit": LABEL}
    x = {
        "field": "jaccard",
        "type": "quantitative",
        "title": "Jaccard index of the removed rows",
        "scale": {"domain": [0, 1]},
    }
    fill = {"field": "colour", "type": "nominal", "scale": None, "legend": None}
    mark = {"type": "point", "size": 60, "strokeWidth": 1.5, "opacity": 1}
    return {
        "height": {"step": 22},
        "width": 260,
        "layer": [
            {"mark": {**mark, "filled": True}, "encoding": {"x": x, "y": y, "fill": fill}},
            {
                "mark": {**mark, "filled": False},
                "encoding": {"x": {**x, "field": "chance"}, "y": y, "stroke": fill},
            },
        ],
    }
