"""How dense the edge of the hull is: images about the test images' thresholds."""

from collections.abc import Mapping
from typing import Any

from clipcause.config.layout import NONE as NO_SCORES
from clipcause.prune.rules.hull import Hull
from clipcause.report.content import Content
from clipcause.report.decimals import listed, percent, signed
from clipcause.report.figures.density import looks
from clipcause.report.sections.elements import NONE, Cell, Mark, Row, Small, panels, ranged
from clipcause.report.tables import density
from clipcause.report.tables.density import Counted, Edge
from clipcause.search.density import ABOVE


def view(content: Content) -> dict[str, Any] | None:
    """None where the stage is not part of the study."""
    study, edges = content.study, content.edges
    if not edges:
        return None
    first = next(iter(edges.values()))
    told = {name: "above the threshold" if name == ABOVE else f"{name} under it"
            for name in first.counts}  # fmt: skip
    dashes = {name: " ".join(map(str, dash)) for name, dash in looks(list(first.counts)).items()}
    drops, apart = content.rows("density_drops"), density.left_out(study, edges)
    cell = {(row["split"], row["test"], row["group"]): _drop(row) for row in drops}
    groups = dict.fromkeys(row["group"] for row in drops)
    pairs = dict.fromkeys((row["split"], row["test"]) for row in drops)
    return {
        "base": first.base,
        "deltas": [f"delta −{band:g}" for band in first.bands],
        "widest": f"{first.bands[-1]:g}",
        "told": list(told.values()),
        "removed": [_removed(test, edge) for test, edge in edges.items()],
        "marks": [(Mark(shape="line", dash=dashes[name]), told[name]) for name in first.counts],
        "panels": panels(content, "density"),
        "images": [_images(test, edge) for test, edge in edges.items()],
        "drops": [
            Row(f"{name} on {test}", [cell[name, test, group] for group in groups])
            for name, test in pairs
        ],
        "apart": listed([f"{name} ({_why(rule)})" for name, rule in apart.items()]),
    }


def _removed(test: str, edge: Edge) -> Row:
    shares = [percent(count / edge.base_rows) for count in edge.removed]
    more = zip(edge.further, shares[1:], strict=True)
    cells = [Cell(f"+{count:,}", (Small(f"{share} in all"),)) for count, share in more]
    return Row(test, [Cell(f"{edge.removed[0]:,}", (Small(shares[0]),)), *cells])


def _images(test: str, edge: Edge) -> Row:
    last = NONE if edge.correlation is None else f"{edge.correlation:.2f}"
    return Row(test, [f"{edge.images:,}", *map(_count, edge.counts.values()), last])


def _count(one: Counted) -> Cell:
    small = Small(f"mean {one.mean:,.1f}", f"none: {percent(one.none)}")
    return Cell(f"{one.median:,g}", (small,))


def _why(rule: Hull) -> str:
    """What is not that of the edges that were counted."""
    if rule.scores != NO_SCORES:
        return f"scores “{rule.scores}”"
    return f"delta {rule.delta:g}".replace("-", "−") if rule.delta else f"base {rule.base}"


def _drop(row: Mapping[str, Any]) -> Cell:
    if row["drop"] is None:
        return Cell(NONE, (Small("0 images"),))
    # split minus random, as everywhere on the page; the table of the plot has the drop
    value, low, high = (signed(-row[name] / 100) for name in ("drop", "high", "low"))
    return ranged(value, low, high, f"{row['images']:,} images")
