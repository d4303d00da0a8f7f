"""The forest plot as a figure."""

from clipcause.report import charts, comparison_chart
from clipcause.report.content import Content
from clipcause.report.tables.comparisons import family, rows


def figures(content: Content) -> dict[str, charts.Spec]:
    """The forest plot as a figure; none where nothing is compared."""
    every = rows(content.study, family(content.lines))
    order = list(dict.fromkeys(row["split"] for row in every))
    if not every:
        return {}
    drawn = charts.figure(
        comparison_chart.panel(order, comparison_chart.extent(every)),
        every,
        list(content.study.tests),
        "Difference from the random split of the same size",
        "Filled: beyond noise after Holm's correction. Bars: 95 % intervals. Band: smaller than "
        "this design could detect.",
    )
    return {"comparisons": drawn}
