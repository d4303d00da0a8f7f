"""The page's section on effective robustness."""

from html import escape

from clipcause.report import charts, colours, explain_charts, similarity_page
from clipcause.report.content import Content
from clipcause.report.decimals import listed, points
from clipcause.report.drops_page import BY_CLASS, MOST_OPEN, NONE
from clipcause.report.explain_figures import shown_shifts
from clipcause.report.markup import (
    chip,
    data_table,
    details,
    key,
    panels,
    paragraph,
    stroke,
    table_row,
)
from clipcause.report.tables.robustness import Shifts
from clipcause.stats.comparison import Interval
from clipcause.stats.robustness import FITTED, LEAST, NO_LINE


def part(content: Content) -> str:
    """The section; empty where there is one test set."""
    study, found = content.study, content.shifts
    if found is None or not found.measured:
        return ""
    rows_of = shown_shifts(content)
    drawn = [
        (
            test,
            charts.inline(
                explain_charts.robustness_panel(found.usual),
                [row for row in rows_of if row["test"] == test],
                f"Accuracy on {test} against accuracy on {found.usual}, on axes of log odds.",
            ),
        )
        for test in found.measured
    ]
    colour, shown = colours.colours(study), {row["split"] for row in rows_of}
    marks = [
        (chip(colour[name]), name)
        for name in charts.own(study)
        if name in shown and not study.conditions[name].is_supervised
    ]
    marks += [
        (chip(colours.GREY, hollow=True), "random split of the same size"),
        (_diamond(), "supervised"),
    ]
    has_line = any(one.kind != NO_LINE for one in found.measured.values())
    if has_line:
        is_fitted = any(one.kind == FITTED for one in found.measured.values())
        marks.append((stroke(colours.GREY, "" if is_fitted else "4 3"), "line of the supervised"))
    html = paragraph(
        f"Accuracy on each shifted test set against accuracy on {found.usual}, over images of the "
        "classes that both have. Above the line is more robust than the supervised models "
        f"(Taori et al. 2020). {_line_in_words(found)}"
    )
    if found.apart:
        html += paragraph(f"No class is shared with {found.usual}: {listed(found.apart)}.", "soft")
    html += key(marks) + panels(drawn)
    if not has_line:
        return html
    rows = []
    for name in found.conditions:
        cells = [_rho(found.rho(name, test)) for test in found.measured]
        kind = "random" if study.conditions[name].split in study.twins else ""
        rows.append(table_row(similarity_page.named(study, study.conditions[name]), cells, kind))
    table = data_table(
        "Effective robustness: accuracy less what the line gives, in points. " + BY_CLASS,
        ["training data", *map(escape, found.measured)],
        rows,
    )
    if len(rows) > MOST_OPEN:
        table = details(f"Table of {len(rows)} conditions", table)
    return (
        html
        + table
        + paragraph(
            f"Models answer on {found.usual} among all its classes, and on a test set with fewer "
            "classes among those; the line has that advantage too. That a model lies above the "
            "line does not say why: its training data may hold images like the test's.",
            "soft",
        )
    )


def _line_in_words(found: Shifts) -> str:
    """What the line is, and what it is not."""
    kinds = {one.kind for one in found.measured.values()}
    if kinds <= {NO_LINE}:
        return "No supervised model was trained, so there is no line."
    through = (
        f"the mean of the {found.supervised} supervised models"
        if found.supervised > 1
        else "the one supervised model"
    )
    models = f"{found.supervised} supervised model{'s' if found.supervised > 1 else ''}"
    assumed = (
        f"of slope 1 in log odds through {through}: an assumption (equal odds lost), not a fit"
    )
    if kinds == {FITTED}:
        return f"The line is fitted to {models} by least squares, on axes of log odds."
    why = (
        f"fewer than {LEAST} of them fix no slope"
        if found.supervised < LEAST
        else "the interval of the slope that fits them is not above zero: their accuracies on "
        f"{found.usual} may lie too close to each other"
    )
    if FITTED in kinds:
        some = listed([test for test, one in found.measured.items() if one.kind != FITTED])
        return (
            f"The line is fitted to {models} by least squares, on axes of log odds; on {some} it "
            f"is {assumed}, since the interval of the fitted slope is not above zero."
        )
    return f"The line is {assumed}; {why}."


def _rho(found: Interval | None) -> str:
    if found is None:
        return NONE
    kind = ' class="sure"' if found.is_distinguishable else ""
    return f"{points(found.value)}<small{kind}>[{points(found.low)}, {points(found.high)}]</small>"


def _diamond() -> str:
    return (
        f'<svg viewBox="0 0 12 12" aria-hidden="true"><path d="M6 0L12 6L6 12L0 6Z" '
        f'fill="{colours.GREY}"/></svg>'
    )
