"""Accuracy by class frequency and similarity: lines, grids and a logistic fit of both."""

from typing import Any

from clipcause.report import explain_charts
from clipcause.report.charts import lines_of
from clipcause.report.content import Content
from clipcause.report.decimals import listed
from clipcause.report.explain_figures import frequency_ticks, gridded
from clipcause.report.sections.conditions import line, rows
from clipcause.report.sections.elements import NONE, Cell, Panel, Small, by_test, drawing
from clipcause.stats.decomposition import PER_SIMILARITY
from clipcause.stats.logistic import LEAST_GROUPS, Fit, Undefined


def view(content: Content) -> dict[str, Any]:
    """Plots where the frequencies are known, and the table of coefficients."""
    study, found, shown = content.study, content.explained, lines_of(content.study)
    drawn = [one for one in found.rows["byfrequency"] if one["split"] in shown]
    present = {one["split"] for one in drawn}
    names, fits = gridded(content), found.fits.values()
    return {
        "least": content.parameters.least_per_bin,
        "marks": [(line(study, name), name) for name in shown if name in present],
        "panels": by_test(
            study.tests,
            explain_charts.frequency_panel(ticks=frequency_ticks(drawn)),
            drawn,
            "Accuracy on {test} by class frequency, a line per condition.",
        ),
        "grids": {test: _grids(content, test, names) for test in study.tests if drawn},
        "gridded": listed(names) if names else "",
        "more_grids": len(study.conditions) - len(names),
        "told": _told(content),
        "both": any(found.has_frequency.values()),
        "step": f"{PER_SIMILARITY:g}",
        "rows": rows(study, lambda name, test: _coefficients(content, name, test)),
        # why some cells are empty, and why some have no interval
        "reasons": list(dict.fromkeys(fit.reason for fit in fits if isinstance(fit, Undefined))),
        "no_interval": any(isinstance(fit, Fit) and fit.covariance_KK is None for fit in fits),
        "least_classes": LEAST_GROUPS,
    }


def _grids(content: Content, test: str, names: list[str]) -> list[Panel]:
    """A grid for each of the chosen conditions that has one."""
    found, drawn = content.explained, []
    for name in names:
        rows = [one for one in found.rows["grid"] if (one["split"], one["test"]) == (name, test)]
        if rows:
            label = f"Accuracy on {test} by similarity and class frequency: {name}."
            cells, images = found.left_out[name, test]
            title = f"{name} ({cells} cells with {images} images left out)" if cells else name
            drawn.append(Panel(title, drawing(explain_charts.grid_panel(), rows, label)))
    return drawn


def _told(content: Content) -> str:
    """How often either of the two matters; empty where no fit has an interval."""
    found, told = content.explained, []
    for column, name in enumerate(("nearest similarity", "class frequency"), 1):
        fits = [
            fit.interval(column)
            for at, fit in found.fits.items()
            if isinstance(fit, Fit) and (column == 1 or found.has_frequency[at])
        ]
        if known := [one for one in fits if one]:
            above = sum(one.low > 0 for one in known)
            below = sum(one.high < 0 for one in known)
            told.append(f"that of {name} for {above} and {below} of {len(known)}")
    return listed(told) if told else ""


def _coefficients(content: Content, name: str, test: str) -> Cell:
    fit = content.explained.fits[name, test]
    if isinstance(fit, Undefined):
        return Cell(NONE)
    second = _log_odds(fit, 2) if content.explained.has_frequency[name, test] else None
    return _log_odds(fit, 1, second)


def _log_odds(fit: Fit, column: int, then: Cell | None = None) -> Cell:
    value, found = _signed(float(fit.coefficient_K[column])), fit.interval(column)
    if found is None:
        return Cell(value, then=then)
    kind = "sure" if found.is_distinguishable else ""
    return Cell(value, (Small(f"[{_signed(found.low)}, {_signed(found.high)}]", kind=kind),), then)


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}".replace("-", "−")
