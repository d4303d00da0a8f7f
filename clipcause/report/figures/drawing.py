"""From specification to picture: for the page, and as files."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

import vl_convert

from clipcause.report.figures.figure import Panel, Spec

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
PNG_SCALE = 1.6
LARGEST = 1.25  # how far a panel on the page may grow over its own size
QUIET = "#88888840"
CONFIG = {
    "font": "Liberation Sans, Arial, Helvetica, sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "gridColor": QUIET,
        "domain": False,
        "tickColor": QUIET,
        "titleFontWeight": 400,
        "labelFlush": False,  # a label that is moved inwards touches the next
    },
    "header": {"labelFontSize": 13, "labelFontWeight": 700},
    "title": {"fontSize": 15, "subtitleFontSize": 12, "offset": 14},
}


def svg(spec: Spec, *, background: str | None = None) -> str:
    """Draw a specification. The same one gives the same text."""
    return vl_convert.vegalite_to_svg(
        {**spec, "$schema": SCHEMA, "config": CONFIG | {"background": background}}
    )


def png(drawing: str) -> bytes:
    """A drawing as PNG: the same bytes as from its specification, in a sixth of the time."""
    return vl_convert.svg_to_png(drawing, scale=PNG_SCALE)


def inline(panel: Panel) -> str:
    """A panel for the page: an SVG that scales with its column and says what it shows."""
    text = svg(panel.spec)
    opened = re.search(r"<svg[^>]*>", text)
    box = re.search(r'viewBox="([^"]*)"', text)
    if opened is None or box is None:
        raise RuntimeError("the drawing has no viewBox")
    if "url(#" in text:
        raise RuntimeError("the drawing refers to an id, which would not be its own on the page")
    widest = round(LARGEST * float(box[1].split()[2]))
    start = (
        f'<svg viewBox="{box[1]}" style="max-width:{widest}px" role="img" '
        f'aria-label="{escape(panel.label)}">'
    )
    return start + text[opened.end() :].strip()


def write(specs: Mapping[str, Spec], folder: Path) -> None:
    """Every figure that is a file, as SVG and PNG."""
    for name, spec in specs.items():
        drawing = svg(spec, background="white")
        (folder / f"{name}.svg").write_text(drawing, encoding="utf-8")
        (folder / f"{name}.png").write_bytes(png(drawing))
