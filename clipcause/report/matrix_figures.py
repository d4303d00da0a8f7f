"""The figures of the two matrices."""

from collections.abc import Sequence

from clipcause.report import charts, classwise
from clipcause.report.content import Content
from clipcause.report.matrix_charts import accuracy_panel, overlap_panel
from clipcause.report.study import Study
from clipcause.report.tables.matrix import accuracy_rows, overlap_rows, removed
from clipcause.report.tables.tabular import Rows

MOST = 24  # splits of one matrix of overlaps


def figures(content: Content) -> dict[str, charts.Spec]:
    """The figures that are files, by name; one without data is absent."""
    study = content.study
    shown, tests = charts.lines_of(study), list(study.tests)
    drawn = {
        "matrix": {
            **accuracy_panel(shown, tests),
            "data": {"values": rows_of(accuracy_rows(study, content.lines), shown)},
            "title": {
                "text": "Every split on every test set",
                "subtitle": "Top-1 accuracy in %; below it points above or below the random split "
                "of its size, starred where the 95 % interval leaves out zero.",
                "anchor": "start",
            },
        }
    }
    for base, names in drawn_splits(study).items():
        rows = pairs_of(overlap_rows(study), base, names)
        drawn["overlap" if "overlap" not in drawn else f"overlap-{base}"] = {
            **overlap_panel(names),
            "data": {"values": rows},
            "title": {
                "text": f"How far splits of “{base}” removed the same images",
                "subtitle": "Jaccard index of the removed images.",
                "anchor": "start",
            },
        }
    return drawn


def drawn_splits(study: Study) -> dict[str, list[str]]:
    """By base the splits of its matrix: where not all fit, those that no rule chose by class."""
    chosen = {}
    for base, of in removed(study).items():
        names = list(of)
        if len(names) > MOST:
            plain = [one for one in names if not classwise.is_classwise(study.rules[one])]
            names = (plain if len(plain) > 1 else names)[:MOST]
        chosen[base] = names
    return chosen


def pairs_of(rows: Rows, base: str, names: Sequence[str]) -> Rows:
    kept = set(names)
    return [row for row in rows if row["base"] == base and {row["first"], row["second"]} <= kept]


def rows_of(rows: Rows, names: Sequence[str]) -> Rows:
    return [row for row in rows if row["split"] in names]
