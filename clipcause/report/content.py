"""All that the page and the figures show: the analysis with colours, and what pictures are from."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipcause.config import section
from clipcause.config.report import Report
from clipcause.report import analysis, pictures, study, tables
from clipcause.report.analysis import Results
from clipcause.report.colours import Rows, painted
from clipcause.report.pictures import Duplicate
from clipcause.report.study import Sources


@dataclass(frozen=True)
class Content(Results):
    """All that the page shows."""

    parameters: Report
    tables: Mapping[str, Rows]  # with colours, by the name of the CSV
    sources: Sources
    duplicate_count: int
    duplicates: list[Duplicate]

    def rows(self, name: str) -> Rows:
        """The rows of a table, by the name of its CSV."""
        return self.tables[name]


def load() -> Content:
    """Read the analysis, and what pictures are chosen from."""
    found, rows = analysis.read()
    declared, parameters = tables.load(), section("report", Report)
    count, pairs = pictures.duplicates(parameters.duplicates)
    return Content(
        **vars(found),
        parameters=parameters,
        tables={name: painted(one, rows[name], found.study) for name, one in declared.items()},
        sources=study.load_sources(),
        duplicate_count=count,
        duplicates=pairs,
    )
