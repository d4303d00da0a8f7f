"""What a table is: declared once, in the file of its topic.

A table is a function of the inputs that gives rows; the fields of their type are its columns, with
what they mean. Its text is ``report/plots/NAME.csv``. Colours are not in it: the report adds them
as last columns where a table says by which of its columns.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints

from clipcause.report.inputs import Inputs
from clipcause.stats.comparison import Interval
from clipcause.stats.statistics import wilson

DIGITS = 4  # of numbers in % or of correlations
SHARES = 6  # of shares

# columns of several tables
Test = Annotated[str, "the test set"]
Split = Annotated[str, "the condition: its split, and what else is not as by default"]
Kind = Annotated[str, "`split`, `random` (the random split of a split's size) or `supervised`"]
Model = Annotated[str, "the kind of model, whatever data it was trained on"]
Beside = Annotated[str, "the condition on whose line it is: of a random split, each it is for"]
Images = Annotated[int, "test images"]
Low = Annotated[float, "lower end of the 95 % interval"]
High = Annotated[float, "upper end of the 95 % interval"]
Seeds = Annotated[int, "runs, which differ in their seed"]


@dataclass(frozen=True)
class Table:
    """A table of the report by the name of its file."""

    name: str
    row: type[Any]  # a dataclass
    make: Callable[[Inputs], Sequence[Any]]
    looks: tuple[str, ...] = ("colour",)  # columns that the report adds
    by: str = "split"  # the column that they follow from

    @property
    def columns(self) -> dict[str, str]:
        """What every column means. A field whose name Python keeps for itself ends in ``_``."""
        hints = get_type_hints(self.row, include_extras=True)
        return {_column(name): _meaning(hint) for name, hint in hints.items()}


def record(row: Any) -> dict[str, Any]:
    """A row as a dictionary by column."""
    return {_column(name): value for name, value in vars(row).items()}


def to_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV with these columns; what a row lacks or has no value for is empty."""
    columns = list(columns)
    return lines(columns, [[row.get(name) for name in columns] for row in rows])


def lines(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A head and cells as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def rounded(value: int | float, digits: int = DIGITS) -> float:
    """As tables have it; a zero has no sign."""
    return round(float(value), digits) + 0.0


def text(value: int | float | None) -> str:
    """A number of `table.csv` and `runs.csv`: a count, or any other to the sixth digit; empty where
    there is none."""
    if value is None or isinstance(value, int):
        return "" if value is None else f"{value:d}"
    return f"{rounded(value, SHARES):.{SHARES}f}"


def percent(one: Interval) -> tuple[float, float, float]:
    """A share with its interval, or a difference of shares, in %."""
    return rounded(100 * one.value), rounded(100 * one.low), rounded(100 * one.high)


def share(hits: int | float, images: int) -> Interval:
    """A share of images with its Wilson interval; ``hits`` may be a mean over seeds."""
    # a sum of means may pass the whole by the error of a float
    return Interval(hits / images, *wilson(min(hits, images), images))


def _column(name: str) -> str:
    return name.removesuffix("_")


def _meaning(hint: Any) -> str:
    """The text of ``Annotated``, also of one that may be None."""
    found = getattr(hint, "__metadata__", ())
    return next(iter(found), None) or next(filter(None, map(_meaning, get_args(hint))), "")
