"""The page's sections on what explains accuracy: frequency beside similarity, the share of a drop,
effective robustness. One with nothing to show is empty."""

from html import escape

from clipcause.report import (
    charts,
    colours,
    drops_page,
    explain_charts,
    robustness_page,
    similarity_page,
)
from clipcause.report.content import Content
from clipcause.report.decimals import listed
from clipcause.report.drops_page import MOST_OPEN, NONE
from clipcause.report.explain_figures import frequency_ticks, gridded, rows_of
from clipcause.report.markup import data_table, details, key, panels, paragraph, stroke, table_row
from clipcause.stats.decomposition import PER_SIMILARITY
from clipcause.stats.logistic import LEAST_GROUPS, Fit, Undefined

SECTIONS = {
    "frequencies": "Accuracy by frequency and similarity",
    "explained": "How much of a difference similarity explains",
    "robustness": "Effective robustness",
}


def parts(content: Content) -> dict[str, str]:
    """The sections by anchor."""
    return {
        "frequencies": _frequencies(content),
        "explained": drops_page.part(content),
        "robustness": robustness_page.part(content),
    }


def _frequencies(content: Content) -> str:
    study, found = content.study, content.explained
    lines = charts.lines_of(study)
    rows = rows_of(found.rows["byfrequency"], lines)
    html = ""
    if rows:
        colour = colours.colours(study)
        present = [name for name in lines if any(row["split"] == name for row in rows)]
        html += paragraph(
            "Test images by the number of training rows of their class, each bin twice the one "
            "before; bars are 95 % Wilson intervals of an accuracy, as if images were independent. "
            f"Bins of fewer than {content.parameters.least_per_bin} images are left out."
        )
        html += key((stroke(colour[name], _dash(content, name)), name) for name in present)
        html += panels(
            (
                test,
                charts.inline(
                    explain_charts.frequency_panel(ticks=frequency_ticks(rows)),
                    mine,
                    f"Accuracy on {test} by class frequency, a line per condition.",
                ),
            )
            for test in study.tests
            if (mine := [row for row in rows if row["test"] == test])
        )
        html += _grids(content)
    return html + _fits(content)


def _grids(content: Content) -> str:
    """A grid for every test set and the chosen conditions."""
    study, found, html = content.study, content.explained, ""
    names = gridded(content)
    for number, test in enumerate(study.tests):
        drawn = []
        for name in names:
            rows = [row for row in rows_of(found.rows["grid"], [name]) if row["test"] == test]
            if not rows:
                continue
            label = f"Accuracy on {test} by similarity and class frequency: {name}."
            cells, images = found.left_out[name, test]
            title = f"{name} ({cells} cells with {images} images left out)" if cells else name
            drawn.append((title, charts.inline(explain_charts.grid_panel(), rows, label)))
        if drawn:
            html += details(f"{test}: both together", panels(drawn), is_open=not number)
    if not html:
        return ""
    rest = len(study.conditions) - len(names)
    also = f" Shown: {listed(names)}; the table of the plot has {rest} more." if rest else ""
    return (
        paragraph(
            "Both together: similarity to the right, frequency upwards. If only one of the two "
            f"mattered, accuracy would change in one direction alone.{also}"
        )
        + html
    )


def _fits(content: Content) -> str:
    """The table of coefficients."""
    study, found, rows = content.study, content.explained, []
    for name, one in study.conditions.items():
        cells = [_coefficients(content, name, test) for test in study.tests]
        kind = "random" if one.split in study.twins else ""
        rows.append(table_row(similarity_page.named(study, one), cells, kind))
    both = any(found.has_frequency.values())
    second = ", and below it per doubling of the class's training rows" if both else ""
    table = data_table(
        f"Change of the log odds of a right answer per {PER_SIMILARITY:g} of nearest similarity"
        f"{second}. {_reasons(content)}",
        ["training data", *map(escape, study.tests)],
        rows,
    )
    text = (
        "A logistic fit of right and wrong answers to "
        f"{'both at once' if both else 'nearest similarity'}, without a penalty. 0.7 about doubles "
        f"the odds. Intervals (95 %) are cluster-robust by class. The fit says what goes together "
        "across test images, not what would happen if an image had a nearer neighbour: images that "
        "are easy for another reason may also be the ones with near neighbours."
    )
    if len(rows) > MOST_OPEN:
        table = details(f"Table of {len(rows)} conditions", table)
    seen = _seen_in_fits(content)
    return (paragraph(seen) if seen else "") + paragraph(text) + table


def _seen_in_fits(content: Content) -> str:
    """In a sentence, how often either of the two matters."""
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
    if not told:
        return ""
    return f"Coefficients whose interval lies above and below zero: {listed(told)} fits."


def _coefficients(content: Content, name: str, test: str) -> str:
    fit = content.explained.fits[name, test]
    if isinstance(fit, Undefined):
        return NONE
    text = _log_odds(fit, 1)
    if content.explained.has_frequency[name, test]:
        text += _log_odds(fit, 2)
    return text


def _log_odds(fit: Fit, column: int) -> str:
    value, found = _signed(float(fit.coefficient_K[column])), fit.interval(column)
    if found is None:
        return value
    kind = ' class="sure"' if found.is_distinguishable else ""
    return f"{value}<small{kind}>[{_signed(found.low)}, {_signed(found.high)}]</small>"


def _reasons(content: Content) -> str:
    """Why some cells are empty, and why some have no interval."""
    fits = content.explained.fits
    reasons = dict.fromkeys(fit.reason for fit in fits.values() if isinstance(fit, Undefined))
    text = f"No number (–): {'; '.join(reasons)}." if reasons else ""
    if any(isinstance(fit, Fit) and fit.covariance_KK is None for fit in fits.values()):
        text += f" No interval: fewer than {LEAST_GROUPS} classes."
    return text


def _dash(content: Content, name: str) -> str:
    one = content.study.conditions[name]
    return "5 2" if one.split in content.study.twins else "2 2" if one.is_supervised else ""


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}".replace("-", "−")
