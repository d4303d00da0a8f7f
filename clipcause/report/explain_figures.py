"""The figures of what explains accuracy."""

from clipcause.report import bias_charts, charts, explain_charts
from clipcause.report.charts import Spec
from clipcause.report.content import Content
from clipcause.report.tables import explained
from clipcause.report.tables.robustness import LINE, SUPERVISED, Rows
from clipcause.stats.decomposition import Explained

MOST_GRIDS = 3  # conditions with a grid, for every test set


def figures(content: Content) -> dict[str, Spec]:
    """The figures that are files, by name; one without data is absent."""
    study, found = content.study, content.explained
    tests, drawn = list(study.tests), {}
    shown = charts.lines_of(study)
    if rows := rows_of(found.rows["byfrequency"], shown):
        drawn["byfrequency"] = charts.figure(
            explain_charts.frequency_panel(charts.named(study, shown), frequency_ticks(rows)),
            rows, tests,
            "Accuracy by class frequency",
            "A line per split in its colour; dashed: random split of its size; dotted: supervised.",
        )  # fmt: skip
    for number, name in enumerate(gridded(content), 1):
        if rows := rows_of(found.rows["grid"], [name]):
            drawn[f"grid-{number}"] = charts.figure(
                explain_charts.grid_panel(), rows, tests,
                f"Accuracy by similarity and class frequency: {name}",
                "Cells with too few images are left out.",
            ) | {"resolve": {"scale": {"x": "independent", "y": "independent"}}}  # fmt: skip
    others = {
        "explained": drops_figure(content),
        "robustness": robustness_figure(content),
    }
    return drawn | {name: spec for name, spec in others.items() if spec}


def gridded(content: Content) -> list[str]:
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


def rows_of(rows: explained.Rows, names: list[str]) -> explained.Rows:
    return [row for row in rows if row["split"] in names]


def frequency_ticks(rows: explained.Rows) -> list[int]:
    """One choice of ticks for all test sets."""
    return bias_charts.ticks(row["frequency"] for row in rows)


MOST = 16  # conditions in the plot


def shown_drops(content: Content) -> list[str]:
    """The conditions whose drops are drawn: where not all fit, those that differ in nothing but
    their split come first."""
    study = content.study
    names = list(dict.fromkeys(name for name, _ in content.explained.explained))
    if len(names) <= MOST:
        return names
    plain = [name for name in names if study.conditions[name].is_plain]
    return (plain or names)[:MOST]


def drops_figure(content: Content) -> Spec | None:
    """The drops_figure that is a file; None without data."""
    names = shown_drops(content)
    if not (rows := drop_rows(content, names)):
        return None
    return charts.figure(
        explain_charts.explained_panel(names),
        rows,
        list(content.study.tests),
        "Differences and what the change in similarity predicts of them",
        "Filled: observed. Hollow: predicted. Bars: 95 % intervals over classes.",
    )


def drop_rows(content: Content, names: list[str]) -> Rows:
    return [row for row in content.explained.rows["explained"] if row["split"] in names]


def shown_shifts(content: Content) -> Rows:
    shifts = content.shifts
    shown = {*charts.lines_of(content.study), LINE}
    rows = shifts.rows if shifts else []
    return [row for row in rows if row["split"] in shown or row["kind"] == SUPERVISED]


def robustness_figure(content: Content) -> Spec | None:
    """The robustness_figure that is a file; None without data."""
    if content.shifts is None or not (rows := shown_shifts(content)):
        return None
    usual = content.shifts.usual
    return charts.figure(
        explain_charts.robustness_panel(
            usual, charts.named(content.study, {row["split"] for row in rows})
        ),
        rows,
        list(content.study.tests),
        f"Accuracy on shifted test sets against {usual}",
        "Diamonds: supervised. Hollow: random splits. Line of the supervised: full where it is "
        "fitted, dashed where its slope of 1 is an assumption.",
    ) | {"resolve": {"scale": {"x": "independent", "y": "independent"}}}
