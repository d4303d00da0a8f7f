"""The page's sections on what explains accuracy: frequency beside similarity, the share of a drop,
effective robustness. One with nothing to show is empty."""

from collections.abc import Sequence
from html import escape

from stages.comparison import Interval
from stages.explaining import PER_SIMILARITY, Explained
from stages.logistic import LEAST_GROUPS, Fit, Undefined
from stages.report import (
    charts,
    explain,
    explain_charts,
    robustness,
    series,
    similarity_page,
)
from stages.report.charts import Spec
from stages.report.content import Content
from stages.report.explain import OBSERVED
from stages.report.markup import (
    chip,
    data_table,
    details,
    key,
    panels,
    paragraph,
    stroke,
    table_row,
)
from stages.report.robustness import LINE, Shifts
from stages.report.table import points
from stages.report.words import listed
from stages.robustness import FITTED, LEAST, NO_LINE

NONE = "–"
MOST_OPEN = 24  # rows of a table that is not folded away
MOST_DROPS = 16  # conditions in the plot of drops
MOST_GRIDS = 3  # conditions with a grid, for every test set
SECTIONS = {
    "frequencies": "Accuracy by frequency and similarity",
    "explained": "How much of a drop similarity explains",
    "robustness": "Effective robustness",
}
CLASSES = (
    "Intervals (95 %) draw classes with all their images, since images of one class are not "
    "independent; they do not cover the noise between training runs."
)


def parts(content: Content) -> dict[str, str]:
    """The sections by anchor."""
    return {
        "frequencies": _frequencies(content),
        "explained": _explained(content),
        "robustness": _robustness(content),
    }


def tables(content: Content) -> dict[str, tuple[Sequence[str], explain.Rows]]:
    """The data of the plots by name, columns and rows."""
    found = {name: (explain.COLUMNS[name], rows) for name, rows in content.explained.rows.items()}
    return found | {
        "robustness": (robustness.COLUMNS, content.shifts.rows if content.shifts else [])
    }


def figures(content: Content) -> dict[str, Spec]:
    """The figures that are files, by name; one without data is absent."""
    study, found = content.study, content.explained
    tests, drawn = list(study.tests), {}
    shown = similarity_page.lines_of(study)
    if rows := _of(found.rows["byfrequency"], shown):
        drawn["byfrequency"] = charts.figure(
            explain_charts.frequency_panel(), rows, tests,
            "Accuracy by class frequency",
            "A line per split in its colour; dashed: random split of its size; dotted: supervised.",
        )  # fmt: skip
    for name in _gridded(content):
        if rows := _of(found.rows["grid"], [name]):
            anchor = "grid" if "grid" not in drawn else f"grid-{name.replace(' ', '-')}"
            drawn[anchor] = charts.figure(
                explain_charts.grid_panel(), rows, tests,
                f"Accuracy by similarity and class frequency: {name}",
                "Cells with too few images are left out.",
            ) | {"resolve": {"scale": {"x": "independent", "y": "independent"}}}  # fmt: skip
    if rows := _of(found.rows["explained"], _dropped(content)):
        drawn["explained"] = charts.figure(
            explain_charts.explained_panel(_dropped(content)), rows, tests,
            "Drops and what the change in similarity predicts of them",
            "Filled: observed. Hollow: predicted. Bars: 95 % intervals over classes.",
        )  # fmt: skip
    if content.shifts and content.shifts.rows:
        usual = content.shifts.usual
        drawn["robustness"] = charts.figure(
            explain_charts.robustness_panel(usual), _shown_shifts(content), tests,
            f"Accuracy on shifted test sets against {usual}",
            "Diamonds: supervised. Hollow: random splits. Line of the supervised: full where it is "
            "fitted, dashed where its slope of 1 is an assumption.",
        ) | {"resolve": {"scale": {"x": "independent", "y": "independent"}}}  # fmt: skip
    return drawn


def _frequencies(content: Content) -> str:
    study, found = content.study, content.explained
    lines = similarity_page.lines_of(study)
    rows = _of(found.rows["byfrequency"], lines)
    html = ""
    if rows:
        colour = series.colours(study)
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
                    explain_charts.frequency_panel(),
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
    names = _gridded(content)
    for number, test in enumerate(study.tests):
        drawn = []
        for name in names:
            rows = [row for row in _of(found.rows["grid"], [name]) if row["test"] == test]
            if not rows:
                continue
            label = f"Accuracy on {test} by similarity and class frequency: {name}."
            cells, images = found.left_out[name, test]
            title = f"{name} ({cells} cells with {images} images left out)" if cells else name
            drawn.append((title, charts.inline(explain_charts.grid_panel(), rows, label)))
        if drawn:
            html += details(f"{test}: both together", panels(drawn, wide=True), is_open=not number)
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
    return paragraph(text) + table


def _coefficients(content: Content, name: str, test: str) -> str:
    fit = content.explained.fits[name, test]
    if isinstance(fit, Undefined):
        return NONE
    text = _log_odds(fit, 1)
    if content.explained.has_frequency[name, test]:
        text += "<br>" + _log_odds(fit, 2)
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


def _explained(content: Content) -> str:
    study, found = content.study, content.explained
    names = list(dict.fromkeys(name for name, _ in found.explained))
    if not names:
        return ""
    shown = _dropped(content)
    drawn = [
        (
            test,
            charts.inline(
                explain_charts.explained_panel(shown),
                mine,
                f"Drops on {test} and what the change in similarity predicts; the table has the "
                "numbers.",
            ),
        )
        for test in study.tests
        if (mine := [row for row in _of(found.rows["explained"], shown) if row["test"] == test])
    ]
    rows = []
    for name in names:
        cells = [_share(found.explained[name, test]) for test in study.tests]
        rows.append(table_row(similarity_page.named(study, study.conditions[name]), cells))
    table = data_table(
        "Drop against the random split of the same size in points, and below it what the change in "
        "similarity predicts; in bold the share that it explains, where the drop's interval leaves "
        "out zero; last the drop among images whose nearest similarity did not change.",
        ["training data", *map(escape, study.tests)],
        rows,
    )
    if len(rows) > MOST_OPEN:
        table = details(f"Table of {len(rows)} conditions", table)
    html = paragraph(
        "A logistic fit to the answers of the random split's models gives every test image a "
        "probability at the nearest similarity that it has to the random split, and another at "
        "that to the pruned split; the mean difference is what the change in similarity predicts "
        "of the drop (the explained part of an Oaxaca-Blinder decomposition). "
        f"{CLASSES}"
    ) + paragraph(
        "A share near 1 says that the drop is as large as the fit expects, not that similarity is "
        "its cause; a share near 0 leaves the drop to something else that pruning changed. Above 1 "
        "less was lost than the fit expects: across images similarity goes together with more than "
        "a lost neighbour takes away. Images whose nearest similarity stayed are a check: nearest "
        "similarity cannot explain what they lose.",
    )
    html += key([
        (chip(series.GREY), OBSERVED),
        (chip(series.GREY, hollow=True), "predicted from similarity"),
    ])  # fmt: skip
    html += panels(drawn)
    if len(shown) < len(names):
        html += paragraph(
            f"{len(names) - len(shown)} further conditions are in the tables alone.", "soft"
        )
    return html + table


def _share(one: Explained | Undefined) -> str:
    if isinstance(one, Undefined):
        return f"{NONE}<small>{escape(one.reason)}</small>"
    text = f"{_points(one.drop)}<small>similarity: {_points(one.predicted)}</small>"
    if isinstance(one.share, Interval):
        low, high = _signed(one.share.low), _signed(one.share.high)
        text += f'<small class="sure">share {_signed(one.share.value)} [{low}, {high}]</small>'
    if one.kept_drop:
        text += f"<small>unchanged ({one.kept:,}): {_points(one.kept_drop)}</small>"
    return text


def _robustness(content: Content) -> str:
    study, found = content.study, content.shifts
    if found is None or not found.measured:
        return ""
    rows_of = _shown_shifts(content)
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
    marks = [
        (chip(series.GREY), "split"),
        (chip(series.GREY, hollow=True), "random split of the same size"),
        (_diamond(), "supervised"),
    ]
    has_line = any(one.kind != NO_LINE for one in found.measured.values())
    if has_line:
        is_fitted = any(one.kind == FITTED for one in found.measured.values())
        marks.append((stroke(series.GREY, "" if is_fitted else "4 3"), "line of the supervised"))
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
        "Effective robustness: accuracy less what the line gives, in points. " + CLASSES,
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
        else f"their accuracies on {found.usual} lie too close to each other to fix a slope"
    )
    if FITTED in kinds:
        some = listed([test for test, one in found.measured.items() if one.kind != FITTED])
        return (
            f"The line is fitted to {models} by least squares, on axes of log odds; on {some} it "
            f"is {assumed}, since the interval of the fitted slope has zero."
        )
    return f"The line is {assumed}; {why}."


def _rho(found: Interval | None) -> str:
    if found is None:
        return NONE
    kind = ' class="sure"' if found.is_distinguishable else ""
    return f"{points(found.value)}<small{kind}>[{points(found.low)}, {points(found.high)}]</small>"


def _gridded(content: Content) -> list[str]:
    """The conditions whose grids are drawn: the first, the one that fell most below its random
    split over all test sets, and a supervised one."""
    study = content.study
    first = next(iter(study.conditions), None)
    lost: dict[str, float] = {}
    for (name, _), one in content.explained.explained.items():
        if isinstance(one, Explained):
            lost[name] = lost.get(name, 0.0) + one.drop.value
    pruned = max(lost, key=lambda name: lost[name], default=None)
    supervised = next((name for name, one in study.conditions.items() if one.is_supervised), None)
    names = dict.fromkeys(name for name in (first, pruned, supervised) if name)
    return list(names)[:MOST_GRIDS]


def _dropped(content: Content) -> list[str]:
    """The conditions whose drops are drawn: where not all fit, those that differ in nothing but
    their split come first."""
    study = content.study
    names = list(dict.fromkeys(name for name, _ in content.explained.explained))
    if len(names) <= MOST_DROPS:
        return names
    plain = [name for name in names if study.conditions[name].is_plain]
    return (plain or names)[:MOST_DROPS]


def _shown_shifts(content: Content) -> explain.Rows:
    shifts = content.shifts
    shown = {*similarity_page.lines_of(content.study), LINE}
    rows = shifts.rows if shifts else []
    return [row for row in rows if row["split"] in shown or row["kind"] == "supervised"]


def _of(rows: explain.Rows, names: list[str]) -> explain.Rows:
    return [row for row in rows if row["split"] in names]


def _dash(content: Content, name: str) -> str:
    one = content.study.conditions[name]
    return "5 2" if one.split in content.study.twins else "2 2" if one.is_supervised else ""


def _diamond() -> str:
    return (
        f'<svg viewBox="0 0 12 12" aria-hidden="true"><path d="M6 0L12 6L6 12L0 6Z" '
        f'fill="{series.GREY}"/></svg>'
    )


def _points(found: Interval) -> str:
    return f"{points(found.value)} [{points(found.low)}, {points(found.high)}]"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0:.2f}".replace("-", "−")
