"""Two matrices: every split on every test set, and how far splits removed the same rows."""

from collections.abc import Mapping
from typing import Any

from clipcause.report.charts import lines_of
from clipcause.report.content import Content
from clipcause.report.decimals import signed
from clipcause.report.matrix_charts import accuracy_panel, overlap_panel
from clipcause.report.matrix_figures import drawn_splits, pairs_of
from clipcause.report.sections.conditions import kind, rows, split_name
from clipcause.report.sections.elements import NONE, Cell, Row, Small, drawing, ranged
from clipcause.report.study import Study
from clipcause.report.tables import matrix


def view(content: Content) -> dict[str, Any]:
    """Both; overlaps of the splits of each base that several were made from."""
    study, shown = content.study, lines_of(content.study)
    every = matrix.accuracy_rows(study, content.lines)
    of = {(one["split"], one["test"]): one for one in every}
    return {
        "drawing": drawing(
            accuracy_panel(shown, list(study.tests)),
            [one for one in every if one["split"] in shown],
            "Top-1 accuracy of every split on every test set, coloured by its difference from the "
            "random split of its size; the table below has the numbers.",
        ),
        "left_out": len(study.conditions) - len(shown),
        "rows": rows(study, lambda name, test: _cell(of[name, test]), link=True),
        "overlaps": _overlaps(study),
    }


def _cell(one: Mapping[str, Any]) -> Cell:
    accuracy = f"{one['said']} %"
    if one["difference"] is None:
        return Cell(NONE, (Small(accuracy),))
    value, low, high = (signed(one[name] / 100) for name in ("difference", "low", "high"))
    return ranged(value, low, high, accuracy)


def _overlaps(study: Study) -> list[dict[str, Any]]:
    """By base: the drawing and the table of what its splits removed in common."""
    every, found = matrix.overlap_rows(study), []
    for base, names in drawn_splits(study).items():
        pairs = pairs_of(every, base, names)
        of = {(one["first"], one["second"]): one for one in pairs}
        label = f"Jaccard index of what splits of {base} removed; the table below has the numbers."
        overlap = {
            "base": base,
            "size": f"{len(study.splits[base]):,}",
            "names": names,
            "further": len({one["first"] for one in every if one["base"] == base}) - len(names),
            "drawing": drawing(overlap_panel(names), pairs, label),
            "rows": [
                Row(
                    split_name(study, first),
                    [f"{of[first, first]['removed_first']:,}"]
                    + [_pair(of[first, second]) for second in names],
                    kind(study, first),
                )
                for first in names
            ],
        }
        found.append(overlap)
    return found


def _pair(one: Mapping[str, Any]) -> Cell:
    if one["first"] == one["second"]:
        return Cell("1")
    return Cell(f"{one['jaccard']:.2f}", (Small(f"chance {one['chance']:.2f}"),))
