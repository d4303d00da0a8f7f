"""The page's section on how dense the edge of the hull is.

Shapes: Q test images.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Int64

from clipcause.report import charts
from clipcause.report.content import Content
from clipcause.report.decimals import listed, percent, signed
from clipcause.report.density_charts import GREY, looks, panel
from clipcause.report.markup import data_table, details, key, panels, paragraph, stroke, table_row
from clipcause.report.tables import density
from clipcause.report.tables.density import Edge
from clipcause.report.tables.tabular import Rows
from clipcause.search.density import ABOVE
from clipcause.stats.statistics import spearman

TITLE = "How dense the edge of the hull is"


def part(content: Content) -> str:
    """The section; empty where the stage is not part of the study."""
    edges = content.edges
    if not edges:
        return ""
    base = next(iter(edges.values())).density.card["base"]
    bands = next(iter(edges.values())).density.bands
    found = density.rows(edges)
    names = next(iter(edges.values())).names
    drawn = [
        (
            test,
            charts.inline(
                panel(names),
                [row for row in found if row["test"] == test],
                f"Share of {test} images with at least so many pool images above the threshold "
                "and just under it; the table has the numbers.",
            ),
        )
        for test in edges
    ]
    dashes = looks(names)
    marks = [(stroke(GREY, " ".join(map(str, dashes[name]))), _told(name)) for name in names]
    return (
        paragraph(
            "Hull pruning removes every pool image that is more similar to a test image than the "
            "test image's threshold, its nearest reference image. Counted here are the pool images "
            "about each test image's own threshold, before other images' thresholds remove any: "
            "one that is just under it is removed all the same where it lies above the threshold "
            "of another test image. So this is not what a test image keeps. "
            f"Counted in the split “{base}”, exactly; an image at "
            "the threshold is under it."
        )
        + _removed_table(edges, bands, base)
        + key(marks)
        + panels(drawn)
        + details("Table of the images about a threshold", _image_table(edges, names, base))
        + _drop_table(
            density.drops(content.study, edges, content.parameters),
            bands[-1],
            density.left_out(content.study, edges),
        )
    )


def _removed_table(edges: Mapping[str, Edge], bands: Sequence[float], base: str) -> str:
    lines = []
    for test, edge in edges.items():
        cells = [f"{edge.removed[0]:,}<small>{percent(edge.removed[0] / edge.base_rows)}</small>"]
        cells += [
            f"+{more:,}<small>{percent(count / edge.base_rows)} in all</small>"
            for more, count in zip(edge.further, edge.removed[1:], strict=True)
        ]
        lines.append(table_row(test, cells))
    return data_table(
        f"Images of “{base}” that hull pruning with respect to one test set removes, and how many "
        "more with a lower delta. An image that is near several test images counts once.",
        ["test set", "delta 0", *(f"delta −{band:g}" for band in bands)],
        lines,
    )


def _image_table(edges: Mapping[str, Edge], names: Sequence[str], base: str) -> str:
    lines = []
    for test, edge in edges.items():
        cells = [f"{edge.density.images:,}"]
        counts = list(edge.density.base.values())
        value = spearman(counts[0], counts[-1])
        cells += [*map(_cell, counts), "–" if value is None else f"{value:.2f}"]
        lines.append(table_row(test, cells))
    return data_table(
        f"Images of “{base}” about the threshold of a test image: the median over test images; "
        "below it the mean, and the share of test images with none. Last column: Spearman's rank "
        "correlation of the images above and those in the widest band. Where it is high, a test "
        "image with many just under its own threshold has many above it as well.",
        ["test set", "test images", *map(_told, names), "correlation"],
        lines,
    )


def _cell(count_Q: Int64[np.ndarray, " Q"]) -> str:
    none = percent(float((count_Q == 0).mean()))
    return f"{np.median(count_Q):,g}<small>mean {count_Q.mean():,.1f}<br>none: {none}</small>"


def _told(name: str) -> str:
    return "above the threshold" if name == ABOVE else f"{name} under it"


def _drop_table(found: Rows, band: float, apart: Mapping[str, str]) -> str:
    """Whether those with more just under their threshold lose less, and which conditions cannot
    say; nothing where there is none of either."""
    absent = ""
    if apart:
        named = listed([f"{name} ({why})" for name, why in apart.items()])
        absent = paragraph(
            f"Not in the table of drops, for their thresholds, delta or base are not those "
            f"counted here: {escape(named)}.",
            "soft",
        )
    if not found:
        return absent
    groups = list(dict.fromkeys(row["group"] for row in found))
    of = {(row["split"], row["test"], row["group"]): row for row in found}
    pairs = dict.fromkeys((row["split"], row["test"]) for row in found)
    lines = [
        table_row(escape(f"{name} on {test}"), [_drop(of[name, test, group]) for group in groups])
        for name, test in pairs
    ]
    table = data_table(
        "Does a test image with more just under its own threshold lose less? Points of accuracy "
        "above (+) or below (−, worse) the random split of the same size, [95 % paired-bootstrap "
        "interval] and number of test images: of those with nothing above their own threshold, and "
        "of the others in two halves: of the pool images above a line that is "
        f"{band:g} under the own threshold, the share that is not above the threshold. Other "
        "images' thresholds remove some of these as well, also about an image with nothing above "
        "its own. The halves also differ in other things, such as class and threshold: this is no "
        "experiment.",
        ["split on test set", "nothing above", "smaller share under", "larger share under"],
        lines,
    )
    return details(f"Table of drops by what is just under, {len(lines)} rows", table) + absent


def _drop(row: dict[str, Any]) -> str:
    if row["drop"] is None:
        return "–<small>0 images</small>"
    # split minus random, as everywhere on the page; the table of the plot has the drop
    value, low, high = (signed(-row[name] / 100) for name in ("drop", "high", "low"))
    return f"{value}<small>[{low}, {high}]<br>{row['images']:,} images</small>"
