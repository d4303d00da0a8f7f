"""What donors of text towers had seen of trimmed classes, as a table of the page."""

from html import escape

from clipcause.report.markup import data_table, details, table_row
from clipcause.report.study import Study
from clipcause.report.tables.locked_text import Seen


def table(study: Study, found: Seen) -> str:
    """The same for the page; empty where no run has such a donor."""
    if not found:
        return ""
    condition = {run: name for name, one in study.conditions.items() for run in one.runs}
    rows = []
    for (run, donor), count in found.items():
        said = "not known" if count is None else f"{count:,}"
        rows.append(table_row(escape(condition[run]), [escape(run), escape(donor), said]))
    caption = (
        "Training rows of the trimmed classes that the donor of a run's text tower had: such a "
        "tower may know classes of which the run's own split has no row."
    )
    head = ["training data", "run", "donor", "its rows of the trimmed classes"]
    title = f"What the donors of {len(found)} runs had seen of the trimmed classes"
    return details(title, data_table(caption, head, rows))
