"""The figure of mixed domains."""

from clipcause.report import charts, domain_charts
from clipcause.report.content import Content
from clipcause.report.study import Study
from clipcause.report.tables.domains import chosen, rows


def figures(content: Content) -> dict[str, charts.Spec]:
    """The figure, where a model has learnt from such a split."""
    drawn = rows(content.study, content.lines)
    if not drawn:
        return {}
    looks = {row["split"]: (row["colour"], "circle") for row in drawn}
    panel = domain_charts.panel(axis_title(content.study), looks)
    order = list(content.study.tests)
    return {
        "domains": charts.figure(
            panel,
            drawn,
            order,
            "Accuracy by the mix of two domains",
            "A point per split in its colour; grey joins splits of one size without ambiguous "
            "rows. Bars: 95 % intervals over test images.",
        )
    }


def axis_title(study: Study) -> str:
    """The title of the axis: the second domain's name, where all splits have the same."""
    names = {card["classifier"]["names"][1] for card in chosen(study).values()}
    return f"share of {names.pop() if len(names) == 1 else 'the second domain'} / %"
