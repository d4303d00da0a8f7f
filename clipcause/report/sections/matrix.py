"""Two matrices: every split on every test set, and how far splits removed the same rows."""

from collections.abc import Mapping
from typing import Any

from clipcause.report.content import Content
from clipcause.report.decimals import signed
from clipcause.report.figures import lines, overlap
from clipcause.report.sections.conditions import kind, rows, split_name
from clipcause.report.sections.elements import NONE, Cell, Row, Small, grouped, panels, ranged


def view(content: Content) -> dict[str, Any]:
    """Both; overlaps of the splits of each base that several were made from."""
    study, shown = content.study, lines.shown(content.study)
    every = content.rows("matrix")
    of = {(one["split"], one["test"]): one for one in every}
    return {
        "drawing": panels(content, "matrix")[0].drawing,
        "left_out": len(study.conditions) - len(shown),
        "rows": rows(study, lambda name, test: _cell(of[name, test]), link=True),
        "overlaps": _overlaps(content),
    }


def _cell(one: Mapping[str, Any]) -> Cell:
    accuracy = f"{one['said']} %"
    if one["difference"] is None:
        return Cell(NONE, (Small(accuracy),))
    value, low, high = (signed(one[name] / 100) for name in ("difference", "low", "high"))
    return ranged(value, low, high, accuracy)


def _overlaps(content: Content) -> list[dict[str, Any]]:
    """By base: the drawing and the table of what its splits removed in common."""
    study, every, found = content.study, content.rows("overlap"), []
    drawn = grouped(content, "overlap", "base")
    for base, names in overlap.splits(content).items():
        of = {(one["first"], one["second"]): one for one in every if one["base"] == base}
        one = {
            "base": base,
            "size": f"{len(study.splits[base]):,}",
            "names": names,
            "further": len({one["first"] for one in every if one["base"] == base}) - len(names),
            "drawing": drawn[base][0].drawing,
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
        found.append(one)
    return found


def _pair(one: Mapping[str, Any]) -> Cell:
    if one["first"] == one["second"]:
        return Cell("1")
    return Cell(f"{one['jaccard']:.2f}", (Small(f"chance {one['chance']:.2f}"),))
