"""The figure of the hull's edge."""

from clipcause.report import charts
from clipcause.report.content import Content
from clipcause.report.density_charts import panel
from clipcause.report.tables import density


def figures(content: Content) -> dict[str, charts.Spec]:
    """The figure that is a file; absent without data."""
    found = density.rows(content.edges)
    if not found:
        return {}
    bands = next(iter(content.edges.values())).names
    return {
        "density": charts.figure(
            panel(bands, legend=True), found, list(content.edges),
            "Pool images just under the test images' thresholds",
            "Share of the test images with at least so many; dots: above the threshold, which hull "
            "pruning removes.",
        )
    }  # fmt: skip
