"""The figure of how alike is what different yardsticks remove."""

from clipcause.report import charts, yardstick_chart
from clipcause.report.content import Content
from clipcause.report.tables.agreement import rows


def figures(content: Content) -> dict[str, charts.Spec]:
    """The figure by name; none where no rule has several yardsticks."""
    every = rows(content.study, content.agreements)
    if not every:
        return {}
    drawn = yardstick_chart.panel(list(dict.fromkeys(row["pair"] for row in every)))
    titles = list(dict.fromkeys(row["rule"] for row in every))
    data = [{**row, "test": row["rule"]} for row in every]  # a panel per rule
    return {"yardsticks": charts.figure(
        drawn, data, titles, "How alike is what different yardsticks remove",
        "Filled: Jaccard index of the removed rows. Hollow: of random choices of the same sizes.",
    )}  # fmt: skip
