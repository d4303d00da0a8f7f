"""Accuracy by class frequency and similarity: lines, grids and a logistic fit of both."""

from dataclasses import replace
from typing import Any

from clipcause.report.content import Content
from clipcause.report.decimals import listed
from clipcause.report.figures import grid, lines
from clipcause.report.sections.conditions import line, rows
from clipcause.report.sections.elements import NONE, Cell, Panel, Small, grouped, panels
from clipcause.report.tables.decomposition import Coefficient, Fit
from clipcause.stats.decomposition import PER_SIMILARITY
from clipcause.stats.logistic import LEAST_GROUPS, Undefined


def view(content: Content) -> dict[str, Any]:
    """Plots where the frequencies are known, and the table of coefficients."""
    study, shown = content.study, lines.shown(content.study)
    drawn = lines.of(content, "byfrequency")
    present = {one["split"] for one in drawn}
    names, fits = grid.shown(content), content.fits.values()
    grids = grouped(content, "grid", "test") if drawn else {}
    return {
        "marks": [(line(study, name), name) for name in shown if name in present],
        "panels": panels(content, "byfrequency"),
        "grids": {
            test: [_titled(content, test, one) for one in grids[test]]
            for test in study.tests
            if test in grids
        },
        "gridded": listed(names),
        "more_grids": len(study.conditions) - len(names),
        "told": _told(content),
        "both": any(content.has_frequency.values()),
        "step": f"{PER_SIMILARITY:g}",
        "rows": rows(study, lambda name, test: _coefficients(content, name, test)),
        # why some cells are empty, and why some have no interval
        "reasons": list(dict.fromkeys(fit.reason for fit in fits if isinstance(fit, Undefined))),
        "no_interval": any(
            isinstance(fit, Fit) and fit.coefficients[0].interval is None for fit in fits
        ),
        "least_classes": LEAST_GROUPS,
    }


def _titled(content: Content, test: str, grid: Panel) -> Panel:
    """A grid that says how much of it is left out."""
    cells, images = content.left_out[grid.title, test]
    more = f" ({cells} cells with {images} images left out)" if cells else ""
    return replace(grid, title=f"{grid.title}{more}")


def _told(content: Content) -> str:
    """How often either of the two matters; empty where no fit has an interval."""
    told = []
    for at, name in enumerate(("nearest similarity", "class frequency")):
        fits = [
            fit.coefficients[at].interval
            for fit in content.fits.values()
            if isinstance(fit, Fit) and at < len(fit.coefficients)
        ]
        if known := [one for one in fits if one]:
            above = sum(one.low > 0 for one in known)
            below = sum(one.high < 0 for one in known)
            told.append(f"that of {name} for {above} and {below} of {len(known)}")
    return listed(told)


def _coefficients(content: Content, name: str, test: str) -> Cell:
    fit = content.fits[name, test]
    if isinstance(fit, Undefined):
        return Cell(NONE)
    first, *rest = fit.coefficients
    return _log_odds(first, _log_odds(rest[0]) if rest else None)


def _log_odds(one: Coefficient, then: Cell | None = None) -> Cell:
    value, found = _signed(one.value), one.interval
    if found is None:
        return Cell(value, then=then)
    kind = "sure" if found.is_distinguishable else ""
    return Cell(value, (Small(f"[{_signed(found.low)}, {_signed(found.high)}]", kind=kind),), then)


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}".replace("-", "−")
