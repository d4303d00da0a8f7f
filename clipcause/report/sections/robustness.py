"""Effective robustness: accuracy under shift beside what the line of supervised models gives."""

from typing import Any

from clipcause.report.colours import colours
from clipcause.report.content import Content
from clipcause.report.decimals import listed, points
from clipcause.report.figures import lines, robustness
from clipcause.report.sections.conditions import rows
from clipcause.report.sections.elements import NONE, Cell, Mark, panels, ranged
from clipcause.report.tables.robustness import Shifts
from clipcause.stats.comparison import Interval
from clipcause.stats.robustness import FITTED, LEAST, NO_LINE


def view(content: Content) -> dict[str, Any] | None:
    """None where there is one test set."""
    study, found = content.study, content.shifts
    if found is None or not found.measured:
        return None
    drawn, colour = robustness.rows(content), colours(study)
    kinds = {one.kind for one in found.measured.values()}
    names = {one["split"] for one in drawn}
    return {
        "usual": found.usual,
        "line": _line(found, kinds),
        "has_line": kinds != {NO_LINE},
        "is_fitted": FITTED in kinds,
        "apart": listed(found.apart),
        "marks": [
            (Mark(colour[name]), name)
            for name in lines.own(study)
            if name in names and not study.conditions[name].is_supervised
        ],
        "diamond": Mark(shape="diamond"),
        "panels": panels(content, "robustness"),
        "sets": list(found.measured),
        "rows": rows(
            study, lambda name, test: _rho(found.rho(name, test)), found.conditions, found.measured
        ),
    }


def _line(found: Shifts, kinds: set[str]) -> str:
    """What the line is, and what it is not."""
    if kinds == {NO_LINE}:
        return "No supervised model was trained, so there is no line."
    many = found.supervised > 1
    models = f"{found.supervised} supervised model{'s' * many}"
    through = f"the mean of the {models}" if many else "the one supervised model"
    assumed = (
        f"of slope 1 in log odds through {through}: an assumption (equal odds lost), not a fit"
    )
    if FITTED not in kinds:
        why = (
            f"fewer than {LEAST} of them fix no slope"
            if found.supervised < LEAST
            else "the interval of the slope that fits them is not above zero: their accuracies on "
            f"{found.usual} may lie too close to each other"
        )
        return f"The line is {assumed}; {why}."
    fitted = f"The line is fitted to {models} by least squares, on axes of log odds"
    if kinds == {FITTED}:
        return f"{fitted}."
    some = listed([test for test, one in found.measured.items() if one.kind != FITTED])
    return (
        f"{fitted}; on {some} it is {assumed}, since the interval of the fitted slope is not above "
        "zero."
    )


def _rho(found: Interval | None) -> Cell:
    if found is None:
        return Cell(NONE)
    value, low, high = (points(end) for end in (found.value, found.low, found.high))
    return ranged(value, low, high, kind="sure" if found.is_distinguishable else "")
