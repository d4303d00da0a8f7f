"""What all tables have in common: rows as dictionaries, a line of CSV each."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from clipcause.report.conditions import Condition
from clipcause.report.study import Study

Rows = list[dict[str, Any]]
RANDOM = "random"


def beside(study: Study, condition: Condition) -> list[str]:
    """The conditions whose lines in the plot a condition shares: a random split those of all that
    are compared with it, any other its own."""
    found = [name for name, one in study.conditions.items() if condition.name in one.twins]
    return found or [condition.name]


def kind(study: Study, condition: Condition) -> str:
    """What a condition's mark looks like: of a split, of a random split, or supervised."""
    if condition.is_supervised:
        return "supervised"
    return RANDOM if condition.split in study.twins else "split"


def rounded(value: float) -> float:
    """As the data of plots have it; a zero has no sign."""
    return round(float(value), 4) + 0.0


def table(columns: Sequence[str], rows: Rows) -> str:
    """Rows as CSV with these columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
