"""The figures of test sets of captions."""

from clipcause.evaluate.retrieval import DEPTHS
from clipcause.report import charts
from clipcause.report.retrieved import DIRECTIONS
from clipcause.report.study import Study
from clipcause.report.tables import tabular
from clipcause.report.tables.retrieval import Found, Line, rows

TEXT = "image_to_text"


def figures(study: Study, found: Found) -> dict[str, charts.Spec]:
    """The figures that are files, by name; absent without data."""
    drawn = {}
    for test, lines in found.items():
        mine = [row for row in rows(study, {test: lines}) if row["direction"] == DIRECTIONS[TEXT]]
        panel = recall_panel(lines, mine)
        # the name of a figure of several test sets says which
        name = "retrieval" if len(found) == 1 else f"retrieval-{test}"
        spec = charts.figure(
            panel, mine, [], f"Test set {test}: captions found by images",
            "Filled: the split. Hollow: a random split of the same size. Bars: 95 % Wilson "
            "intervals over images.",
        )  # fmt: skip
        spec["facet"] = {"field": "depth", "type": "nominal", "title": None, "sort": depths()}
        drawn[name] = spec
    return drawn


def recall_panel(lines: list[Line], mine: tabular.Rows) -> charts.Spec:
    beside = dict.fromkeys(row["beside"] for row in mine)
    order = [line.condition.name for line in lines if line.condition.name in beside]
    paired = any(row["kind"] == tabular.RANDOM for row in mine)
    return charts.accuracy_panel(order, paired=paired, field="recall", title="share found / %")


def depths() -> list[str]:
    return [f"R@{depth}" for depth in DEPTHS]
