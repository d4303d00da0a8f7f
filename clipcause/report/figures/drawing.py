"""From specification to picture: for the page, and as files.

A drawing is laid out by the letters of one font, and whoever looks at an SVG has others, which may
be wider. So every text in it states its length: it is drawn in that length, in any font, and leaves
neither its place nor the picture.
"""

import re
from collections.abc import Iterable, Mapping
from html import escape, unescape
from pathlib import Path
from typing import NamedTuple

import vl_convert

from clipcause.report.figures.figure import Panel, Spec

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
VEGA = "https://vega.github.io/schema/vega/v5.json"
PNG_SCALE = 1.6
WIDEST = 830  # pixels of a file: as wide as a README shows it, so that no letter is made smaller
LARGEST = 1.25  # how far a panel on the page may grow over its own size
QUIET = "#88888840"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
SAID = re.compile(r"<(text|tspan)\b([^>]*)>([^<]*)")  # an element that begins, and what it says
CONFIG = {
    "font": FONT,
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "gridColor": QUIET,
        "domain": False,
        "tickColor": QUIET,
        "titleFontWeight": 400,
        "labelFlush": False,  # a label that is moved inwards touches the next
    },
    "header": {"labelFontSize": 13, "labelFontWeight": 700, "labelLimit": 0},
    "title": {"fontSize": 15, "subtitleFontSize": 12, "offset": 14},
}


class Text(NamedTuple):
    """A line of text and its letters."""

    said: str
    size: float
    weight: str = "400"


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
    text = fixed(svg(panel.spec))
    opened = re.search(r"<svg[^>]*>", text)
    if opened is None:
        raise RuntimeError("this is no drawing")
    if "url(#" in text:
        raise RuntimeError("the drawing refers to an id, which would not be its own on the page")
    widest = round(LARGEST * width(text))
    start = (
        f'<svg viewBox="{_box(text)}" style="max-width:{widest}px" role="img" '
        f'aria-label="{escape(panel.label)}">'
    )
    return start + text[opened.end() :].strip()


def write(specs: Mapping[str, Spec], folder: Path) -> None:
    """Every figure that is a file, as SVG and PNG."""
    for name, spec in specs.items():
        drawing = fitting(spec)
        (folder / f"{name}.svg").write_text(fixed(drawing), encoding="utf-8")
        (folder / f"{name}.png").write_bytes(png(drawing))


def fitting(spec: Spec) -> str:
    """A file's drawing, with as many of its panels side by side as its width allows."""
    drawing = svg(spec, background="white")
    while width(drawing) > WIDEST and spec.get("columns", 1) > 1:
        spec = spec | {"columns": spec["columns"] - 1}
        drawing = svg(spec, background="white")
    return drawing


def width(drawing: str) -> float:
    """Of a drawing, in pixels."""
    return float(_box(drawing).split()[2])


def _box(drawing: str) -> str:
    found = re.search(r'viewBox="([^"]*)"', drawing)
    if found is None:
        raise RuntimeError("the drawing has no viewBox")
    return found[1]


def texts(drawing: str) -> list[Text | None]:
    """The texts of a drawing, line by line; None where an element says nothing by itself."""
    found, style = [], {}
    for element, attributes, said in SAID.findall(drawing):
        if element == "text":
            style = dict(re.findall(r'font-(size|weight)="([^"]*)"', attributes))
        line = Text(
            unescape(said), float(style["size"].removesuffix("px")), style.get("weight", "400")
        )
        found.append(line if said else None)
    return found


def fixed(drawing: str) -> str:
    """A drawing in which every line of text states its length."""
    found = texts(drawing)
    length, left = lengths(dict.fromkeys(filter(None, found))), iter(found)

    def state(match: re.Match[str]) -> str:
        element, attributes, said = match.groups()
        if (line := next(left)) is None:
            return match[0]
        stated = f'textLength="{length[line]:.1f}" lengthAdjust="spacingAndGlyphs"'
        return f"<{element}{attributes} {stated}>{said}"

    return SAID.sub(state, drawing)


def lengths(lines: Iterable[Text]) -> dict[Text, float]:
    """Lines of text to their lengths in pixels, by the letters that drawings are laid out with."""
    lines = list(lines)
    if not lines:
        return {}
    letters = {"font": {"value": FONT}, "text": {"field": "said"}}
    letters |= {"fontSize": {"field": "size"}, "fontWeight": {"field": "weight"}}
    # a bar as long as each text, which Vega lays out and a drawing does not tell
    bar = {"x": {"field": "bounds.x1"}, "x2": {"field": "bounds.x2"}, "height": {"value": 1}}
    drawing = vl_convert.vega_to_svg(
        {
            "$schema": VEGA,
            "data": [{"name": "lines", "values": [line._asdict() for line in lines]}],
            "marks": [
                {
                    "type": "text",
                    "name": "texts",
                    "from": {"data": "lines"},
                    "encode": {"enter": letters},
                },
                {"type": "rect", "from": {"data": "texts"}, "encode": {"enter": bar}},
            ],
        }
    )
    found = re.findall(r'd="M\S+?h([\d.]+)v1h', drawing)
    return {line: float(long) for line, long in zip(lines, found, strict=True)}
