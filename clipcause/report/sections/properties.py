"""Which property? One table of effects by property, what explains them, and what it cannot say."""

from collections.abc import Mapping
from typing import Any

from clipcause.report import which_property
from clipcause.report.colours import GREY, colours
from clipcause.report.content import Content
from clipcause.report.decimals import ends, fixed, percent, signed
from clipcause.report.sections.conditions import marked
from clipcause.report.sections.elements import NONE, Cell, Mark, Row, Small, panels
from clipcause.report.tables.comparisons import SURE
from clipcause.report.tables.properties import AVERAGE
from clipcause.report.verdicts import p_value
from clipcause.report.which_property import interval


def view(content: Content) -> dict[str, Any] | None:
    """None where nothing has a control."""
    rows, tests = content.rows("properties"), list(content.study.tests)
    if not rows:
        return None
    colour = colours(content.study)
    return {
        "said": which_property.found(rows, len(tests)),
        "panels": panels(content, "properties"),
        "head": [
            *("property", "control of the same", Cell("average\n", (Small("points"),))),
            *("p after Holm", *tests, "kept", "runs"),
        ],
        "rows": [_effect(one, tests, colour) for one in which_property.by_line(rows)],
        "explained": which_property.explained(content),
        "relations": panels(content, "relations"),
        "relation_head": [
            *("property", "share", "chance", Cell("one sd\n", (Small("points, others held"),))),
            *("r with accuracy", "inflation", "goes most with"),
        ],
        "relation_rows": [_relation(row) for row in content.rows("relations")],
        "predicted": which_property.predicted(content),
        "limits": which_property.limits(content, rows),
        "makeup_head": [
            *("split", "rows", "accuracy", "nearest similarity", "similarity of rows"),
            *("mentions a row", "words a row", "mean distance", "Vendi score"),
            *("effective clusters", "with a copy"),
        ],
        "makeup": [_makeup(row, colour) for row in content.rows("makeup")],
    }


def _effect(
    of: Mapping[str, Mapping[str, Any]], tests: list[str], colour: Mapping[str, str]
) -> Row:
    one = of[AVERAGE]
    head = Cell(
        one["property"],
        (Small(one["split"], "looked at the tests" if one["sees"] else ""),),
        mark=Mark(colour.get(one["split"], GREY)),
    )
    shared = Small(one["control"], f"{percent(one['shared'])} of its rows shared")
    return Row(
        head,
        [
            Cell(one["alike"], (shared,)),
            _difference(one),
            p_value(one["p_holm"]),
            *(_difference(of[test]) for test in tests),
            percent(one["kept"]),
            f"{one['runs']} + {one['control_runs']}",
        ],
    )


def _difference(row: Mapping[str, Any]) -> Cell:
    """A difference and its interval; what is beyond noise is marked and says so."""
    one, is_sure = interval(row), row["kind"] == SURE
    small = [Small(ends(one), kind=marked(one) if is_sure else "")]
    return Cell(signed(one.value), [*small, *([Small("beyond noise")] if is_sure else [])])


def _relation(row: Mapping[str, Any]) -> Row:
    share = Small(f"[{percent(row['low'])}, {percent(row['high'])}]")
    slope: Cell | str = NONE
    if row["slope"] is not None:
        one = interval(row, "slope", "slope_low", "slope_high")
        slope = Cell(signed(one.value), (Small(ends(one)),))
    closest: Cell | str = NONE
    if row["closest"]:
        closest = Cell(row["closest"], (Small(f"r = {fixed(row['closest_correlation'], 2)}"),))
    inflation = "none" if row["inflation"] is None else fixed(row["inflation"], 1)
    return Row(
        row["property"],
        [
            Cell(percent(row["share"]), (share,)),
            percent(row["chance"]),
            slope,
            fixed(row["correlation"], 2),
            inflation,
            closest,
        ],
    )


def _makeup(row: Mapping[str, Any], colour: Mapping[str, str]) -> Row:
    def said(name: str, digits: int) -> str:
        return NONE if row[name] is None else fixed(row[name], digits)

    return Row(
        Cell(row["draw"], mark=Mark(colour.get(row["split"], GREY))),
        [
            f"{row['rows']:,}",
            fixed(row["accuracy"], 1),
            *(said(name, 4) for name in ("similarity", "row_similarity", "mentions")),
            said("words", 2),
            said("distance", 4),
            *(said(name, 2) for name in ("vendi", "clusters")),
            NONE if row["copied"] is None else percent(row["copied"]),
        ],
    )
